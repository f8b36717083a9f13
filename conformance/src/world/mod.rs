//! Whom the statements are about: a directory, two identities and, if there are, further ones.

mod at_keys;
mod authority;
mod credential;
mod given;
mod identity;
mod ours;
mod pkam;
mod tls;

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::check::{Check, Stop, failed, not_applicable};
use crate::wire::Client;

pub use authority::{Authority, Leaf};
pub use credential::Credential;
pub use given::{Given, NamedCredential};
pub use identity::Identity;
pub use ours::Ours;
pub use pkam::{EccKeys, RsaKeys};
pub use tls::Tls;

/// Why a world could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct SetupError {
    /// What was to be done.
    pub what: String,
    /// Why it did not come about.
    pub reason: String,
}

impl SetupError {
    pub(crate) fn new(what: impl ToString, reason: impl ToString) -> Self {
        Self { what: what.to_string(), reason: reason.to_string() }
    }
}

/// What all statements share.
pub struct World {
    /// Host and port of the directory.
    pub directory: (String, u16),
    /// Whose server is looked at.
    pub alice: Identity,
    /// The other one.
    pub bob: Identity,
    /// Trust and certificates.
    pub tls: Arc<Tls>,
    /// A key pair for the identities that are activated on the way.
    pub keys: Arc<RsaKeys>,
    emoji: Option<String>,
    spares: Mutex<Vec<Identity>>,
    /// The first of the further identities, until [`World::keyed`] activates it.
    to_share: Mutex<Option<Identity>>,
    keyed: OnceCell<Arc<Identity>>,
    /// Makes the names of this run's keys its own.
    run: String,
    /// Our own program lives as long as the world.
    _ours: Option<Ours>,
}

impl World {
    /// A world of at least two identities: @alice, @bob, and whom statements may change for good.
    pub(crate) async fn new(
        directory: (String, u16),
        mut identities: Vec<Identity>,
        tls: Arc<Tls>,
        ours: Option<Ours>,
    ) -> Result<Self, SetupError> {
        let what = "setting the identities up";
        if identities.len() < 2 {
            return Err(SetupError::new(what, "two are needed"));
        }
        let mut spares = identities.split_off(2);
        spares.reverse();
        let (Some(bob), Some(alice)) = (identities.pop(), identities.pop()) else {
            return Err(SetupError::new(what, "two are needed"));
        };
        let names = [&alice, &bob].into_iter().chain(&spares).map(|identity| &identity.name);
        let emoji = names.into_iter().find(|name| !name.is_ascii()).cloned();
        let to_share = Mutex::new(spares.pop());
        let keys = tokio::task::spawn_blocking(RsaKeys::of_this_process).await;
        let keys = keys.map_err(|error| SetupError::new(what, error))??;
        let world = Self {
            directory,
            alice,
            bob,
            tls,
            keys,
            emoji,
            spares: Mutex::new(spares),
            to_share,
            keyed: OnceCell::new(),
            run: random_word().map_err(|error| SetupError::new(what, error))?,
            _ours: ours,
        };
        for identity in [&world.alice, &world.bob] {
            let prepared = world.activate(identity).await;
            prepared.map_err(|error| SetupError::new(&identity.name, error))?;
        }
        Ok(world)
    }

    /// What clients do at the first start: whoever has only a secret stores a PKAM key, and puts a
    /// public key where others find it.
    async fn activate(&self, identity: &Identity) -> Check {
        let mut owner = identity.owner().await?;
        if identity.has_secret() {
            identity.activated(&self.keys).await?;
        }
        let key = format!("public:publickey{}", identity.name);
        if owner.ask(&format!("llookup:{key}")).await?.starts_with("error:") {
            owner.data(&format!("update:{key} {}", self.keys.public)).await?;
        }
        Ok(())
    }

    /// A key name that nobody else uses, without owner: `s086.<namespace of this run>`.
    pub fn key(&self, name: &str) -> String {
        format!("{name}.{}", self.run)
    }

    /// The namespace of this run's keys.
    pub fn namespace(&self) -> &str {
        &self.run
    }

    /// An identity that the statement may change for good.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where there is none left.
    pub fn spare(&self) -> Check<Identity> {
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        spares.pop().ok_or_else(none_left)
    }

    /// An identity that all share who only need one with [`World::keys`] as her PKAM key, and leave
    /// her as she is. A server makes a key pair of its own for each that is activated, which takes
    /// its time.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where there is none.
    pub async fn keyed(&self) -> Check<Arc<Identity>> {
        let activate = || async {
            let first = self.to_share.lock().unwrap_or_else(PoisonError::into_inner).take();
            let spare = first.ok_or_else(none_left)?;
            spare.activated(&self.keys).await?;
            Ok(Arc::new(spare))
        };
        self.keyed.get_or_try_init(activate).await.map(Arc::clone)
    }

    /// An identity with a name beyond ASCII.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where there is none.
    pub fn emoji_name(&self) -> Check<&str> {
        let none = || not_applicable("needs an identity whose name has an emoji");
        self.emoji.as_deref().ok_or_else(none)
    }

    /// A connection to the directory, its greeting read.
    ///
    /// # Errors
    /// Where it does not greet.
    pub async fn ask_directory(&self) -> Check<Client> {
        let (host, port) = &self.directory;
        let mut client = Client::connect(host, *port, self.tls.plain()).await?;
        client.is_told("the greeting of the directory", "@").await?;
        Ok(client)
    }

    /// A connection to @alice's server that shows the certificate of @bob's host.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where there is none.
    pub async fn as_bobs_host(&self) -> Check<Client> {
        self.alice.connect_with(self.tls.peer(&[&self.bob.host])?).await
    }

    /// The same, authenticated by `pol` as @bob: he signs with his server's key, which he may read.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) without his host's certificate or that key.
    pub async fn peer(&self) -> Check<Client> {
        let mut client = self.as_bobs_host().await?;
        let (session, challenge) = self.pol_challenge(&mut client).await?;
        self.sign_as_bobs_server(&session, &challenge).await?;
        client.send("pol\n").await?;
        client.is_told("pol", &format!("{}@", self.bob.name)).await?;
        Ok(client)
    }

    /// What `from:@bob` gives: the session, and the text to be signed.
    ///
    /// # Errors
    /// Where it gives something else.
    pub async fn pol_challenge(&self, client: &mut Client) -> Check<(String, String)> {
        let data = client.data(&format!("from:{}", self.bob.name)).await?;
        let parts = data.strip_prefix("proof:").and_then(|proof| proof.split_once(':'));
        let wrong = || failed("proof:<session>@bob:<challenge>", format_args!("{data:?}"));
        let (key, challenge) = parts.ok_or_else(wrong)?;
        let session = key.strip_suffix(&self.bob.name).ok_or_else(wrong)?;
        Ok((session.to_owned(), challenge.to_owned()))
    }

    /// Puts the proof where @bob's server would put it.
    ///
    /// # Errors
    /// [`Stop::NotApplicable`](crate::Stop) where @bob cannot read his server's signing key.
    pub async fn sign_as_bobs_server(&self, session: &str, challenge: &str) -> Check {
        let mut owner = self.bob.owner().await?;
        let name = &self.bob.name;
        // A server may make the pair only when somebody asks for it.
        owner.data(&format!("plookup:signing_publickey{name}")).await?;
        let answer = owner.ask(&format!("llookup:{name}:signing_privatekey{name}")).await?;
        let key = answer.strip_prefix("data:").and_then(|rest| rest.split_once('\n'));
        let hidden = || not_applicable("@bob cannot read the signing key of his server");
        let pair = RsaKeys::from_pkcs8_base64(key.ok_or_else(hidden)?.0)?;
        let signature = pair.sign(challenge)?;
        owner.data(&format!("update:ttl:60000:public:{session}{name} {signature}")).await?;
        Ok(())
    }
}

/// Names of the members of a JSON object, in their order.
pub fn members(value: &Value) -> Vec<&str> {
    value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

fn none_left() -> Stop {
    not_applicable("needs one more identity to change for good")
}

fn random_word() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)?;
    Ok(format!("c{}", hex::encode(bytes)))
}
