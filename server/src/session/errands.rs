//! What the owner asks of her server itself.

use std::sync::Arc;

use protocol::response::Answer;
use protocol::verb::Stats;

use crate::refusal::Refusal;
use crate::server::Server;
use crate::verb::stats::{self, Gauges};
use crate::verb::{MaySee, sees_everything};

pub(super) async fn stats(server: &Arc<Server>, command: &Stats) -> Result<Answer, Refusal> {
    let gauges = Gauges {
        inbound: server.roster().len(),
        outbound: server.pool().len(),
        access: server.access().summary(),
        now: server.now(),
    };
    let may_see: MaySee<'_> = &sees_everything;
    server.ledger().read(|view| stats::run(view, command, &gauges, may_see)).await
}
