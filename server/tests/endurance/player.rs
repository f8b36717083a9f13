//! Plays a script against one server and holds every answer against the model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use net::dial::ClientStream;
use protocol::Timestamp;
use protocol::Verb;
use protocol::line::LineDecoder;
use protocol::response::ErrorShape;
use protocol::verb::Decision;
use serde_json::Value;
use server::Limits;
use storage::sim::{Crash, SimDisk};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::commits::entries;
use crate::model::{Effect, Kept, Model, OWNER, PEER, Session, Wanted, Who, guarded};
use crate::script::{Fate, ID, LINES, PASSCODE, Proof, Script, Step};
use crate::world::{Running, Shelf, World, cram_digest, keys};

/// The auditor's connection.
const AUDITOR: usize = LINES;

/// Longer than anything that a server does; the time is simulated.
const PATIENCE: Duration = Duration::from_secs(120);

/// They are told in one shape to all clients.
const OF_ENROLMENTS: [&str; 4] = ["AT0025", "AT0026", "AT0027", "AT0028"];

const BEGINNING: Timestamp = Timestamp(1_800_000_000_000);

/// What the owner has at the beginning: something of each kind.
const OWNED: [&str; 9] = [
    "update:a@alice token9000001",
    "update:public:a@alice token9000002",
    "update:@bob:a@alice token9000003",
    "update:@carol:a@alice token9000004",
    "update:@alice:a@alice token9000005",
    "update:public:_h@alice token9000006",
    "update:public:__hh@alice token9000007",
    "update:ttl:90000:@bob:b.ns@alice token9000008",
    "update:ttb:60000:public:b.ns@alice token9000009",
];

/// One server, its clients, and the model.
pub struct Player {
    world: World,
    running: Option<Running>,
    shelf: Shelf,
    model: Model,
    lines: Vec<Line>,
    story: Story,
}

/// What was said so far; told if it comes to a bad end.
#[derive(Default)]
struct Story(Vec<String>);

/// One connection, if there is one at the moment.
struct Line {
    stream: Option<ClientStream>,
    unread: Vec<u8>,
    session: Session,
    /// The last that came was an error, or much time has gone by: the server may have closed.
    may_end: bool,
    /// Its enrolment was revoked on another connection.
    must_end: bool,
    /// What a monitor was told and nobody has looked at yet.
    told: Vec<String>,
}

/// Plays a whole script. Inside a runtime whose time is paused.
pub async fn play(script: &[u8]) {
    let mut player = Player::new().await;
    let mut script = Script::new(script);
    for step in
        [Step::Cram { line: 0, how: Proof::Right }, Step::Pol { line: 1, how: Proof::Right }]
    {
        player.step(step).await;
    }
    for command in OWNED {
        player.send(0, command.as_bytes()).await;
    }
    while let Some(step) = script.step() {
        player.step(step).await;
    }
    player.audit().await;
}

/// A disk with the activated server of the owner; making its keys takes long, so it is made once.
async fn activated() -> SimDisk {
    static DISK: OnceCell<SimDisk> = OnceCell::const_new();
    let disk = DISK.get_or_init(|| async {
        let world = World::new(SimDisk::new(), BEGINNING, Limits::default());
        let mut player = Player::on(world).await;
        player.connect(AUDITOR).await;
        let public = &keys().public;
        let pkam = format!("update:privatekey:at_pkam_publickey {public}");
        for command in
            [&pkam, "update:public:publickey@alice the key", "plookup:signing_publickey@alice"]
        {
            player.ask(AUDITOR, command.as_bytes()).await;
        }
        player.lines.clear();
        player.running.take().expect("it runs").stop().await;
        player.world.disk.clone()
    });
    disk.await.crash(Crash::Kept)
}

impl Player {
    /// The model begins with what the server says that it has.
    async fn new() -> Self {
        let world = World::new(activated().await, BEGINNING, Limits::default());
        let mut player = Self::on(world).await;
        player.connect(AUDITOR).await;
        let pkam = Kept { value: Some(keys().public.clone()), ..Kept::default() };
        player.model.keys.insert("privatekey:at_pkam_publickey".to_owned(), pkam);
        player.learn().await;
        guarded(&mut player.model);
        player.audit().await;
        player
    }

    async fn on(world: World) -> Self {
        let shelf = Shelf::default();
        shelf.put(&format!("signing_publickey{PEER}"), &keys().public);
        let played = shelf.clone();
        world.play(PEER, move |line| Some(played.answer(line)));
        let running = Some(world.start(OWNER));
        let lines = (0..=LINES).map(|number| Line::new(number % 2 == 1)).collect();
        Self { world, running, shelf, model: Model::default(), lines, story: Story::default() }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Send { line, bytes, is_made_up } => {
                self.connect(line).await;
                let bytes = self.filled(&bytes);
                if is_made_up {
                    self.model.overheard(&bytes);
                }
                self.send(line, &bytes).await;
                if self.lines[line].session.who != Who::Owner {
                    self.connect(AUDITOR).await;
                    self.send(AUDITOR, b"scan:showHidden:true").await;
                }
            }
            Step::Cram { line, how } => {
                self.connect(line).await;
                self.prove_by_cram(line, how).await;
            }
            Step::Pkam { line, how } => {
                self.connect(line).await;
                self.prove_by_pkam(line, how).await;
            }
            Step::Pol { line, how } => {
                self.connect(line).await;
                self.prove_by_pol(line, how).await;
            }
            Step::Enrol { line, request, fate, commands } => {
                self.enrol(line, &request, fate).await;
                for command in commands {
                    self.connect(line).await;
                    let command = self.filled(command.as_bytes());
                    self.send(line, &command).await;
                }
                for command in ["scan:showHidden:true", "sync:from:-1:limit:25", "notify:list"] {
                    self.connect(line).await;
                    self.send(line, command.as_bytes()).await;
                }
            }
            Step::Wait(time) => self.pass(time).await,
            Step::Leave(line) => self.lines[line].stream = None,
            Step::Restart => self.restart().await,
        }
    }

    async fn prove_by_cram(&mut self, line: usize, how: Proof) {
        self.send(line, b"from:@alice").await;
        let challenge = self.own_challenge(line, how).await;
        let cram = format!("cram:{}", cram_digest(OWNER, &challenge));
        self.send(line, cram.as_bytes()).await;
    }

    async fn prove_by_pkam(&mut self, line: usize, how: Proof) {
        self.send(line, b"from:@alice").await;
        let challenge = self.own_challenge(line, how).await;
        self.send(line, format!("pkam:{}", keys().sign(&challenge)).as_bytes()).await;
    }

    /// Somebody asks to be enrolled, the owner decides, and the other comes with what that gave.
    async fn enrol(&mut self, line: usize, request: &str, fate: Fate) {
        self.connect(AUDITOR).await;
        self.send(AUDITOR, b"otp:get").await;
        self.connect(line).await;
        let request = self.filled(request.as_bytes());
        self.send(line, &request).await;
        self.connect(AUDITOR).await;
        for decision in fate.decisions() {
            let decision = self.filled(decision.as_bytes());
            self.send(AUDITOR, &decision).await;
        }
        self.connect(line).await;
        self.send(line, b"from:@alice").await;
        let challenge = self.own_challenge(line, Proof::Right).await;
        let pkam = format!("pkam:enrollmentId:{ID}0>:{}", keys().sign(&challenge));
        let pkam = self.filled(pkam.as_bytes());
        self.send(line, &pkam).await;
    }

    /// With the passcode that was drawn last, and with ids of enrolments.
    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let enrolments = &self.model.enrolments;
        let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
        let mut text = text.replace(PASSCODE, &enrolments.drawn);
        for back in 0..3 {
            let id = enrolments.ids.iter().rev().nth(back).map_or("nobody", String::as_str);
            text = text.replace(&format!("{ID}{back}>"), id);
        }
        text.into_bytes()
    }

    async fn prove_by_pol(&mut self, line: usize, how: Proof) {
        self.send(line, b"from:@bob").await;
        let asked = self.lines[line].session.challenge(false).map(str::to_owned);
        let asked = asked.as_deref().and_then(|text| text.split_once(':'));
        if let Some((key, text)) = asked.filter(|_| how != Proof::Wrong) {
            self.shelf.put(key, &keys().sign(text));
            self.lines[line].session.is_signed = true;
        }
        self.delay(how).await;
        self.send(line, b"pol").await;
    }

    /// The text to answer, another if the proof shall be wrong.
    async fn own_challenge(&mut self, line: usize, how: Proof) -> String {
        self.delay(how).await;
        let challenge = self.lines[line].session.challenge(true).unwrap_or_default();
        if how == Proof::Wrong { String::new() } else { challenge.to_owned() }
    }

    async fn delay(&mut self, how: Proof) {
        if how == Proof::Late {
            self.pass(Duration::from_secs(61)).await;
        }
    }

    async fn pass(&mut self, time: Duration) {
        self.story.0.push(format!("{time:?} go by"));
        tokio::time::sleep(time).await;
        self.lines.iter_mut().for_each(|line| line.may_end = true);
    }

    async fn restart(&mut self) {
        for number in 0..=LINES {
            self.lines[number].stream = None;
        }
        self.running.take().expect("it runs").stop().await;
        self.running = Some(self.world.start(OWNER));
        self.model.restarted();
        self.connect(AUDITOR).await;
    }

    /// The auditor is the owner, as long as she has anything left to prove it with.
    async fn connect(&mut self, number: usize) {
        if self.lines[number].stream.is_some() {
            return;
        }
        let is_shown = self.lines[number].session.shows_certificate;
        let mut line = Line::new(is_shown);
        line.stream = Some(self.world.connect(OWNER, is_shown).await);
        line.read_prompt("@").await;
        self.lines[number] = line;
        if number == AUDITOR && self.running.is_some() {
            Box::pin(self.prove_by_cram(AUDITOR, Proof::Right)).await;
            if self.lines[AUDITOR].session.who != Who::Owner {
                Box::pin(self.prove_by_pkam(AUDITOR, Proof::Right)).await;
            }
        }
    }

    /// Sends bytes and a line end, and checks an answer for each line that they are.
    async fn send(&mut self, number: usize, bytes: &[u8]) {
        let mut decoder = LineDecoder::new(usize::MAX);
        let sent = [bytes, b"\n"].concat();
        decoder.push(&sent).expect("there is no limit");
        let lines: Vec<Vec<u8>> = std::iter::from_fn(|| decoder.next_line()).collect();
        let is_monitoring = |line: &Vec<u8>| {
            std::str::from_utf8(line).ok().and_then(Verb::select) == Some(Verb::Monitor)
        };
        if lines.iter().any(is_monitoring) {
            // What comes of it is known when something behind it is answered.
            for line in &lines {
                let marked = [line, &b"\nnoop:0\n"[..]].concat();
                if self.write(number, &marked).await && self.answered(number, line).await {
                    self.answered(number, b"noop:0").await;
                }
            }
            return;
        }
        if !self.write(number, &sent).await {
            return;
        }
        for line in &lines {
            if !self.answered(number, line).await {
                return;
            }
        }
    }

    async fn write(&mut self, number: usize, bytes: &[u8]) -> bool {
        let line = &mut self.lines[number];
        let Some(stream) = &mut line.stream else { return false };
        let is_written = stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok();
        assert!(is_written || line.may_end, "the server hung up");
        if !is_written {
            line.stream = None;
        }
        is_written
    }

    /// Checks the answer to one line; false if there is no connection any more.
    async fn answered(&mut self, number: usize, sent: &[u8]) -> bool {
        if self.lines[number].stream.is_none() {
            return false;
        }
        if sent.trim_ascii().eq_ignore_ascii_case(b"@exit") {
            self.lines[number].stream = None;
            return false;
        }
        let now = self.world.now().0;
        let is_over = self.lines[number].must_end;
        let (wanted, effect) = self.model.expect(&self.lines[number].session, sent, now);
        if let Effect::Ask(shape) = effect {
            self.lines[number].session.ask(shape);
        }
        if matches!(effect, Effect::Monitor) && !self.begins_to_monitor(number).await {
            return self.lines[number].stream.is_some();
        }
        if matches!(effect, Effect::Monitor) {
            return true;
        }
        let answer = match wanted {
            Wanted::Believed => self.lines[number].believed().await,
            _ => self.lines[number].answer().await,
        };
        let Some(answer) = answer else {
            self.lines[number].stream = None;
            return false;
        };
        self.story.0.push(format!("{number}: {:?} {answer:?}", String::from_utf8_lossy(sent)));
        assert!(!is_over, "a connection outlives its enrolment");
        self.check_told(number);
        self.model.check_secrets(&self.lines[number].session, &answer);
        if self.world.now().0 > now {
            self.lines.iter_mut().for_each(|line| line.may_end = true);
        }
        self.judge(number, sent, &answer, (&wanted, &effect), now);
        let is_error = answer.starts_with("error:");
        let prompt = self.lines[number].session.prompt(is_error);
        self.lines[number].read_prompt(&prompt).await;
        self.lines[number].may_end = is_error;
        true
    }

    /// What a monitor is told is nothing that this connection may not see.
    fn check_told(&mut self, number: usize) {
        let told = std::mem::take(&mut self.lines[number].told);
        told.iter().for_each(|told| self.model.check_secrets(&self.lines[number].session, told));
    }

    /// Whether an answer is right, and what the model learns from it.
    fn judge(
        &mut self,
        number: usize,
        sent: &[u8],
        answer: &str,
        (wanted, effect): (&Wanted, &Effect),
        now: i64,
    ) {
        match (wanted, answer.strip_prefix("data:")) {
            (Wanted::Batch(commands), Some(json)) => {
                let told: Vec<Value> = serde_json::from_str(json).expect("a list of responses");
                assert_eq!(told.len(), commands.len(), "{json}");
                for (command, told) in commands.iter().zip(told) {
                    assert_eq!(told["id"], command.id);
                    let answer = response(&told["response"], self.lines[number].session.shape());
                    let session = &self.lines[number].session;
                    let (wanted, effect) =
                        self.model.expect_in_batch(session, &command.command, now);
                    let sent = command.command.as_bytes();
                    self.judge(number, sent, &answer, (&wanted, &effect), now);
                }
            }
            _ => {
                self.check(number, sent, answer, wanted, now);
                self.settle(number, answer, effect, now);
            }
        }
    }

    /// A monitor is not answered, unless its expression cannot be used.
    async fn begins_to_monitor(&mut self, number: usize) -> bool {
        let line = &mut self.lines[number];
        let was_monitor = std::mem::replace(&mut line.session.is_monitor, true);
        if !line.is_next_an_error().await {
            return true;
        }
        line.session.is_monitor = was_monitor;
        line.answer().await.expect("it is there");
        let prompt = line.session.prompt(true);
        line.read_prompt(&prompt).await;
        line.may_end = true;
        false
    }

    fn check(&mut self, number: usize, sent: &[u8], answer: &str, wanted: &Wanted, now: i64) {
        let session = &self.lines[number].session;
        let shape = session.shape();
        let data = answer.strip_prefix("data:");
        let code = code_of(answer, shape);
        let is_right = match wanted {
            Wanted::Data(text) => data == Some(text),
            Wanted::Null => data == Some("null"),
            Wanted::Error(wanted) => code == Some(wanted),
            Wanted::Failure => code.is_some(),
            Wanted::Nothing => data == Some("null") || code == Some("AT0015"),
            Wanted::Names { prefix, names, is_filtered } => match data {
                Some(json) => self.are_names(prefix, names, *is_filtered, json),
                None => *is_filtered && code == Some("AT0003"),
            },
            Wanted::Record { key, kept, is_whole } => {
                data.is_some_and(|json| is_record(json, key, kept, *is_whole))
            }
            Wanted::Commit { is_committed } => {
                data.is_some_and(|id| self.model.is_next(id, *is_committed, now))
            }
            Wanted::Challenge { is_own: true } => data.is_some_and(|text| text.starts_with('_')),
            Wanted::Challenge { is_own: false } => {
                data.is_some_and(|text| text.starts_with("proof:_"))
            }
            Wanted::Believed => answer.is_empty(),
            Wanted::Some => data.is_some(),
            Wanted::Any => data.is_some() || code.is_some(),
            Wanted::Silence | Wanted::Batch(_) => false,
            Wanted::Page(sync) => match data {
                Some(json) => self.model.is_page(session, sync, json, now),
                None => sync.regex.is_some() && code == Some("AT0003"),
            },
            Wanted::Stats(stats) => match data {
                Some(json) => self.model.are_stats(session, stats, json, now),
                None => stats.regex.is_some() && code == Some("AT0003"),
            },
            Wanted::Recipients(names) => data.is_some_and(|json| are_recipients(json, names)),
            Wanted::Passcode => data.is_some_and(is_passcode),
            Wanted::Enrolled(status, id) => data.is_some_and(|json| is_enrolled(json, status, id)),
            Wanted::Enrolments(filter) => data.is_some_and(|json| {
                let own = session.enrolment.as_deref();
                self.model.enrolments.are_listed(own, filter.as_deref(), json, now)
            }),
            Wanted::KeyNames(names) => data.is_some_and(|json| {
                let mut told: Vec<String> = serde_json::from_str(json).expect("a list of names");
                told.sort();
                told == *names
            }),
            Wanted::KeptKey(name) => data.is_some_and(|json| {
                let told: Value = serde_json::from_str(json).expect("JSON");
                let key = self.model.enrolments.keys.get(name);
                key.is_some_and(|key| told["value"] == key.value && told["enrollmentId"] == key.id)
            }),
        };
        let is_right = is_right || (self.model.is_blind && (data.is_some() || code.is_some()));
        let session = &self.lines[number].session;
        let sent = String::from_utf8_lossy(sent);
        assert!(is_right, "{sent:?} on {session:?} has to be {wanted:?} and is {answer:?}");
    }

    fn are_names(&self, prefix: &str, names: &[String], is_filtered: bool, json: &str) -> bool {
        let told: Vec<String> = serde_json::from_str(json).expect("a list of names");
        let is_tame = |name: &&String| !self.model.is_wild(&format!("{prefix}{name}"));
        if is_filtered {
            told.iter().filter(is_tame).all(|name| names.contains(name))
        } else {
            told.iter().filter(is_tame).eq(names)
        }
    }

    fn settle(&mut self, number: usize, answer: &str, effect: &Effect, now: i64) {
        let session = &mut self.lines[number].session;
        let is_error = answer.starts_with("error:");
        let data = answer.strip_prefix("data:").unwrap_or_default();
        match effect {
            Effect::Prove(proved) => session.become_of((!is_error).then_some(proved)),
            Effect::Ask(_) if !is_error => {
                let is_own = !data.starts_with("proof:");
                session.challenged(is_own, data.strip_prefix("proof:").unwrap_or(data), now);
            }
            Effect::Enrol(request, by) => {
                let told: Option<Value> = serde_json::from_str(data).ok();
                let id = told.as_ref().and_then(|told| told["enrollmentId"].as_str());
                self.model.asked(session, request, *by, id, now);
            }
            effect if !is_error => {
                self.model.done(session, effect, data, now);
                if let Effect::Decide(id, Decision::Revoke { .. }) = effect {
                    self.revoked(number, id.as_str());
                }
            }
            _ => {}
        }
    }

    /// The other connections of an enrolment end.
    fn revoked(&mut self, by: usize, id: &str) {
        for (number, line) in self.lines.iter_mut().enumerate() {
            let is_on_it = line.session.enrolment.as_deref() == Some(id);
            if is_on_it && number != by && line.stream.is_some() {
                (line.may_end, line.must_end) = (true, true);
            }
        }
    }

    /// Everything as the model says, to the last byte; and no commit that it does not know of.
    async fn audit(&mut self) {
        self.connect(AUDITOR).await;
        if self.lines[AUDITOR].session.who != Who::Owner {
            return;
        }
        for command in
            ["scan:showHidden:true", "stats:3", "stats:15", "config:block:show", "enroll:list"]
        {
            self.send(AUDITOR, command.as_bytes()).await;
        }
        let commits = self.model.log.values().map(|(commit, _)| *commit);
        for after in (0..=commits.max().unwrap_or(0)).step_by(20) {
            self.send(AUDITOR, format!("sync:from:{after}:limit:25").as_bytes()).await;
        }
        self.send(AUDITOR, b"sync:from:-1:limit:25").await;
        let names: Vec<String> =
            self.model.keys.keys().filter(|n| n.contains('@')).cloned().collect();
        for name in names {
            self.send(AUDITOR, format!("llookup:all:{name}").as_bytes()).await;
        }
        self.send(AUDITOR, b"update:audited@alice yes").await;
        self.send(AUDITOR, b"delete:audited@alice").await;
    }

    /// What the server says that it has, taken on trust.
    async fn learn(&mut self) {
        let names = self.ask(AUDITOR, b"scan:showHidden:true").await;
        let names: Vec<String> = serde_json::from_str(&names).expect("a list of names");
        for name in names {
            let json = self.ask(AUDITOR, format!("llookup:all:{name}").as_bytes()).await;
            let json: Value = serde_json::from_str(&json).expect("JSON");
            let value = json["data"].as_str().map(str::to_owned);
            if name.contains("private") {
                self.model.guard_under(&name, value.as_deref().expect("it is stored"));
            }
            let version = json["metaData"]["version"].as_u64().expect("a number");
            self.model.keys.insert(name, Kept { value, version, ..Kept::default() });
        }
        self.model.log = entries(&self.ask(AUDITOR, b"sync:from:-1:limit:25").await);
    }

    /// A command whose answer nobody checks.
    async fn ask(&mut self, number: usize, command: &[u8]) -> String {
        self.write(number, &[command, b"\n"].concat()).await;
        let line = &mut self.lines[number];
        let answer = line.answer().await.expect("an answer");
        let prompt = line.session.prompt(false);
        line.read_prompt(&prompt).await;
        answer.strip_prefix("data:").expect("data").to_owned()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Line {
    fn new(shows_certificate: bool) -> Self {
        let session = Session::new(shows_certificate);
        let (unread, told) = (Vec::new(), Vec::new());
        Self { stream: None, unread, session, may_end: false, must_end: false, told }
    }

    /// One line without its end; notifications to a monitor are looked at and passed over. None: the
    /// server closed, and it may.
    async fn answer(&mut self) -> Option<String> {
        loop {
            let end =
                self.read_until(|unread| unread.iter().position(|byte| *byte == b'\n')).await?;
            let rest = self.unread.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.unread, rest);
            line.pop();
            let line = String::from_utf8(line).expect("answers are UTF-8");
            match line.strip_prefix("notification: ").filter(|_| self.session.is_monitor) {
                Some(json) => {
                    drop(serde_json::from_str::<Value>(json).expect("JSON"));
                    self.told.push(json.to_owned());
                }
                None => return Some(line),
            }
        }
    }

    /// Whether the next that comes is an error; notifications before it are passed over.
    async fn is_next_an_error(&mut self) -> bool {
        let Some(answer) = self.answer().await else { return false };
        let is_error = answer.starts_with("error:");
        self.unread.splice(..0, format!("{answer}\n").into_bytes());
        is_error
    }

    /// The answer to a `pol` that succeeds: nothing, and the prompt behind it.
    async fn believed(&mut self) -> Option<String> {
        self.read_until(|unread| (!unread.is_empty()).then_some(0)).await?;
        match self.unread.starts_with(b"@") {
            true => Some(String::new()),
            false => self.answer().await,
        }
    }

    async fn read_prompt(&mut self, prompt: &str) {
        let length = prompt.len();
        let come = self.read_until(|unread| (unread.len() >= length).then_some(length)).await;
        come.expect("a prompt");
        let rest = self.unread.split_off(length);
        let come = std::mem::replace(&mut self.unread, rest);
        assert_eq!(String::from_utf8_lossy(&come), prompt, "{:?}", self.session);
    }

    async fn read_until(&mut self, found: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        loop {
            if let Some(at) = found(&self.unread) {
                return Some(at);
            }
            let stream = self.stream.as_mut()?;
            let read = timeout(PATIENCE, stream.read_buf(&mut self.unread)).await;
            let read = read.unwrap_or_else(|_| panic!("no answer after {:?}", self.session));
            if !read.is_ok_and(|count| count > 0) {
                assert!(self.may_end && self.unread.is_empty(), "closed: {:?}", self.session);
                return None;
            }
        }
    }
}

/// The code of an error, in the shape that the client asked for. What an enrolment cannot do is told
/// in a shape of its own.
fn code_of(answer: &str, shape: ErrorShape) -> Option<&str> {
    let error = answer.strip_prefix("error:")?;
    let of_enrolment = error.split_once(':').map(|(code, _)| code);
    if let Some(code) = of_enrolment.filter(|code| OF_ENROLMENTS.contains(code)) {
        return Some(code);
    }
    match shape {
        ErrorShape::Classic => error.split_once('-').map(|(code, _)| code),
        ErrorShape::Json => error.strip_prefix("{\"errorCode\":\"").and_then(|rest| rest.get(..6)),
    }
    .map(|code| code.trim_end_matches('"'))
}

/// A response in a batch as the answer that it would be outside of it.
fn response(response: &Value, shape: ErrorShape) -> String {
    let code = response["error_code"].as_str();
    match (response.get("data"), code) {
        (Some(data), None) => format!("data:{}", data.as_str().unwrap_or("null")),
        (None, Some(code)) if shape == ErrorShape::Json => {
            format!("error:{{\"errorCode\":\"{code}\"}}")
        }
        (None, Some(code)) => format!("error:{code}-"),
        _ => panic!("{response} is no response"),
    }
}

fn are_recipients(json: &str, names: &[String]) -> bool {
    let told: BTreeMap<String, String> = serde_json::from_str(json).expect("ids by names");
    told.keys().collect::<BTreeSet<_>>() == names.iter().collect()
        && told.values().collect::<BTreeSet<_>>().len() == names.len()
}

fn is_passcode(code: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_uppercase() || (b'1'..=b'9').contains(&b);
    code.len() == 6 && code.bytes().all(is_good)
}

fn is_enrolled(json: &str, status: &str, id: &Option<String>) -> bool {
    let told: Value = serde_json::from_str(json).expect("JSON");
    told["status"] == status && id.as_ref().is_none_or(|id| told["enrollmentId"] == **id)
}

fn is_record(json: &str, key: &str, kept: &Kept, is_whole: bool) -> bool {
    let told: Value = serde_json::from_str(json).expect("JSON");
    let metadata = if is_whole { &told["metaData"] } else { &told };
    let number = |member: &str| metadata[member].as_i64();
    (!is_whole || (told["key"] == key && told["data"].as_str() == kept.value.as_deref()))
        && metadata["version"] == kept.version
        && metadata["createdBy"] == OWNER
        && (number("ttl"), number("ttb"), number("ttr")) == (kept.ttl, kept.ttb, kept.ttr)
        && metadata["ccd"].as_bool() == kept.ccd
        && metadata["availableAt"].is_string() == kept.available_at.is_some()
        && metadata["expiresAt"].is_string() == kept.expires_at.is_some()
}
