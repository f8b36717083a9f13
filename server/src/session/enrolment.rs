//! Enrolling, on every connection: who asks, who decides, and what enrolled connections keep.

use std::sync::Arc;

use protocol::ErrorCode;
use protocol::enrollment::EnrollmentStatus;
use protocol::response::Answer;
use protocol::verb::{Enroll, EnrollRequest, Keys, Otp};

use super::owner::Owner;
use super::{Caller, Reply};
use crate::enrol::{State, record};
use crate::refusal::Refusal;
use crate::rights::Rights;
use crate::server::Server;
use crate::verb::enroll::{self, By, Decided, Requested};
use crate::verb::{info, keys, otp};
use crate::world::PROTOCOL_VERSION;

/// A request of somebody who has not proved to be the owner.
pub(super) async fn requested(
    server: &Arc<Server>,
    caller: &mut Caller,
    request: EnrollRequest,
) -> Result<Answer, Refusal> {
    ask(server, caller, By::Anybody, request).await.map(|(answer, _)| answer)
}

/// Takes a request; gives back the rights of one that is granted at once.
async fn ask(
    server: &Arc<Server>,
    caller: &mut Caller,
    by: By,
    request: EnrollRequest,
) -> Result<(Answer, Option<Rights>), Refusal> {
    let (now, limits) = (server.now(), &server.world().limits);
    let (owner, guard, origin) = (server.identity(), &server.world().guard, caller.origin);
    let is_admitted = caller.pace.admit(now, limits)
        && (by == By::Secret || guard.admit(owner, origin, now, limits));
    if !is_admitted {
        return Err(too_often());
    }
    let session = caller.session.as_str();
    let requested =
        server.write(|draft| enroll::request(draft, limits, session, by, request)).await?;
    if by == By::Anybody && !matches!(requested, Requested::WrongPasscode) {
        guard.right(owner, origin, now, limits);
    }
    match requested {
        Requested::Pending { id, at } => {
            server.announce(at);
            Ok((enroll::answer(&id, EnrollmentStatus::Pending.as_str(), None), None))
        }
        Requested::Approved { id, kept } => {
            let answer = enroll::answer(&id, EnrollmentStatus::Approved.as_str(), None);
            Ok((answer, Some(Rights::granted(id, *kept))))
        }
        Requested::Refused(refusal) => Err(refusal),
        Requested::WrongPasscode => {
            let text = "invalid otp. Cannot process enroll request";
            let wrong = Refusal::new(ErrorCode::InternalException, text);
            Err(Refusal { delay: guard.wrong(owner, origin, now, limits), ..wrong })
        }
    }
}

fn too_often() -> Refusal {
    let text = "Enrollment requests have exceeded the limit within the specified time frame";
    Refusal::new(ErrorCode::InternalException, text)
}

impl Owner {
    /// Whether the enrolment on which the connection stands is approved still. If not, the
    /// connection is told so and ends.
    pub(super) async fn check(&self, server: &Server) -> Result<(), Refusal> {
        let Some(id) = self.rights.enrolment() else { return Ok(()) };
        let (owner, now) = (server.identity(), server.now());
        let checked = server.ledger().read(|view| record::approved(view, id, owner, now)).await;
        checked.map(|_| ()).map_err(|refusal| Refusal { closes: true, ..refusal })
    }

    pub(super) async fn enroll(
        &mut self,
        server: &Arc<Server>,
        command: Enroll,
    ) -> Result<Reply, Refusal> {
        let (owner, now, rights) = (server.identity(), server.now(), &self.rights);
        match command {
            Enroll::Request(request) => self.request(server, *request).await,
            Enroll::Decide { id, decision } => {
                let decided = self.decide(server, |d| enroll::decide(d, rights, id, decision));
                Ok(self.decided(server, decided.await?))
            }
            Enroll::List { filter } => server
                .ledger()
                .read(|view| enroll::list(view, rights, filter.as_deref(), owner, now))
                .await
                .map(Into::into),
            Enroll::Fetch { id } => server
                .ledger()
                .read(|view| enroll::fetch(view, rights, &id, owner, now))
                .await
                .map(Into::into),
        }
    }

    /// Who came with the activation secret is enrolled at once, and stands on that from then on.
    async fn request(
        &mut self,
        server: &Arc<Server>,
        request: EnrollRequest,
    ) -> Result<Reply, Refusal> {
        let by = if self.came_by_secret() { By::Secret } else { By::Owner };
        let (answer, rights) = ask(server, &mut self.caller, by, request).await?;
        if let Some(rights) = rights {
            self.rights = rights;
        }
        Ok(answer.into())
    }

    fn decided(&self, server: &Server, decided: Decided) -> Reply {
        let Decided { id, state } = decided;
        let status = state.map_or("deleted", |state| state.status().as_str());
        if state != Some(State::Revoked) {
            return enroll::answer(&id, status, None).into();
        }
        let is_own = self.rights.enrolment() == Some(&id);
        let linger = is_own.then_some(server.world().limits.revoked_linger);
        let farewell = linger.map(|linger| {
            let seconds = linger.as_secs();
            format!("Enrollment is revoked. Closing the connection in {seconds} seconds")
        });
        let answer = enroll::answer(&id, status, farewell.as_deref());
        Reply::Revoked { answer, id, linger }
    }

    pub(super) async fn otp(&self, server: &Server, command: Otp) -> Result<Answer, Refusal> {
        self.decide(server, |draft| otp::run(draft, &self.rights, command)).await
    }

    pub(super) async fn keys(&self, server: &Server, command: Keys) -> Result<Answer, Refusal> {
        let (owner, now, rights) = (server.identity(), server.now(), &self.rights);
        let grant = rights.grant().ok_or_else(keys::not_enrolled)?;
        let ledger = server.ledger();
        match command {
            Keys::Put(put) => self.decide(server, |d| keys::put(d, rights, grant, *put)).await,
            Keys::Delete { name } => self.decide(server, |d| keys::delete(d, grant, &name)).await,
            Keys::Get { name } => ledger.read(|v| keys::get(v, grant, &name, owner, now)).await,
            Keys::List { visibility } => {
                ledger.read(|v| keys::list(v, rights, grant, visibility, owner, now)).await
            }
        }
    }

    /// `info`; an enrolled connection is told what it stands on.
    pub(super) async fn info(&self, server: &Server) -> Result<Answer, Refusal> {
        let (owner, now) = (server.identity(), server.now());
        let enrolment = match self.rights.enrolment() {
            Some(id) => {
                let kept = server.ledger().read(|v| record::approved(v, id, owner, now)).await?;
                Some(kept.enrolment)
            }
            None => None,
        };
        Ok(info::full(PROTOCOL_VERSION, server.uptime(), enrolment.as_ref()))
    }
}
