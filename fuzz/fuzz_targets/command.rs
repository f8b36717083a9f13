//! Commands: every line gives a command or a fault that fits one line, and what a notification
//! tells another server is one line that the other understands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::notification::{Envelope, Notification};
use protocol::response::{ErrorShape, Prompt, encode_fault};
use protocol::verb::{Command, Notify, Verb};
use protocol::{AtSign, Timestamp};

fuzz_target!(|line: &str| {
    let Some(verb) = Verb::select(line) else { return };
    match Command::parse(verb, line) {
        Ok(Command::Update(update)) => assert!(update.key.kind().is_writable()),
        Ok(Command::Notify(notify)) => deliver(&notify),
        Ok(_) => {}
        Err(error) => {
            for shape in [ErrorShape::Classic, ErrorShape::Json] {
                let bytes = encode_fault(&error.clone().into(), true, shape, Prompt::Open);
                assert!(bytes.ends_with(b"\n@") && bytes.len() < 4_096);
                assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), 1);
            }
        }
    }
});

fn deliver(notify: &Notify) {
    let Ok(from) = AtSign::parse("alice") else { return };
    let envelope = Envelope { id: "1", from: &from, at: Timestamp(0), ttln_default: 1 };
    let Ok(sent) = Notification::sent(notify, &envelope) else { return };
    let bytes = sent.delivery_line();
    let line = std::str::from_utf8(&bytes).unwrap_or_default().trim_end_matches('\n');
    assert_eq!(bytes.len(), line.len() + 1, "one line");
    let Ok(Command::Notify(delivery)) = Command::parse(Verb::Notify, line) else {
        panic!("{line:?} is not understood");
    };
    // A text that ends with blanks loses them, as every command does.
    let subject = delivery.subject(&from).unwrap_or_default();
    assert_eq!(subject.trim_end(), sent.subject.trim_end());
    assert_eq!(delivery.value().map(str::trim_end), sent.value.as_deref().map(str::trim_end));
}
