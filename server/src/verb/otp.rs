//! `otp`: passcodes for further devices (the protocol's section 4.6).

use protocol::ErrorCode;
use protocol::response::Answer;
use protocol::verb::Otp;

use crate::draft::Draft;
use crate::enrol::passcode;
use crate::refusal::Refusal;
use crate::rights::Rights;

/// Draws a passcode, or sets the permanent one.
pub(crate) fn run(draft: &mut Draft<'_>, rights: &Rights, otp: Otp) -> Result<Answer, Refusal> {
    match otp {
        Otp::Get { ttl } => draw(draft, ttl),
        Otp::Put { .. } if !rights.may_manage() => Err(Refusal::closing(
            ErrorCode::InternalException,
            "only an enrollment with access to \"__manage\" may set a passcode",
        )),
        Otp::Put { code, ttl } => {
            passcode::set(draft, code, ttl)?;
            Ok(Answer::from("ok"))
        }
    }
}

fn draw(draft: &mut Draft<'_>, ttl: Option<i64>) -> Result<Answer, Refusal> {
    let failed = |text: &str| Refusal::new(ErrorCode::InternalException, text);
    let code = passcode::draw().ok_or_else(|| failed("no passcode can be drawn"))?;
    if passcode::keep_drawn(draft, &code, ttl)? {
        Ok(Answer::Data(code))
    } else {
        Err(failed("too many passcodes wait to be used"))
    }
}
