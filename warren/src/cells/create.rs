//! `warren cell create`

use std::num::NonZeroU16;

use protocol::control::names::CellId;

use super::CreateCellArgs;
use crate::api::{Api, CellView, NewCell};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::waiting::{Progress, until};

/// Creates as many cells as were asked for, and waits until they run if that was asked for too.
pub async fn create(args: &CreateCellArgs) -> Result<(), Failure> {
    let ports = ports(args.port, args.count)?;
    let api = Api::connect(&args.connection)?;
    let mut made = Vec::with_capacity(ports.len());
    for port in ports {
        let cell = api.create_cell(&new_cell(args, port)).await;
        let cell = cell.map_err(|failure| partly(failure, port, &made))?;
        if args.connection.json {
            output::json(&cell)?;
        } else {
            output::line(format_args!("{} is to run in {} at port {port}", cell.cell, cell.swarm))?;
        }
        made.push(cell.cell);
    }
    if args.wait.wait {
        wait(args, &api, &made).await?;
    }
    Ok(())
}

async fn wait(args: &CreateCellArgs, api: &Api, made: &[CellId]) -> Result<(), Failure> {
    let look = || async {
        let cells = api.cells().await?;
        let is_up = |cell: &&CellView| made.contains(&cell.cell) && cell.is_reporting();
        Ok(Progress { done: cells.iter().filter(is_up).count(), of: made.len() })
    };
    until(&args.wait, "starting cells", look).await?;
    if !args.connection.json {
        output::line(match made {
            [one] => format!("{one} runs"),
            _ => format!("{} cells run", made.len()),
        })?;
    }
    Ok(())
}

fn new_cell(args: &CreateCellArgs, port: NonZeroU16) -> NewCell {
    NewCell {
        swarm: args.swarm.clone(),
        image: args.image.clone(),
        port,
        capacity: args.capacity,
        memory_bytes: args.memory,
        millicpus: args.cpus,
        on: args.on.iter().cloned().collect(),
    }
}

fn ports(first: NonZeroU16, count: u16) -> Result<Vec<NonZeroU16>, Failure> {
    let ports = (0..count).map(|offset| first.checked_add(offset)).collect::<Option<Vec<_>>>();
    ports.ok_or_else(|| {
        let what = format!("there are no {count} ports from {first} on");
        Failure::new(Exit::Usage, what).fix("begin with a lower --port")
    })
}

/// What was made stays: whoever repeats the command must know of it.
fn partly(failure: Failure, port: NonZeroU16, made: &[CellId]) -> Failure {
    let failure = failure.at(format_args!("the cell at port {port}"));
    match made.len() {
        0 => failure,
        count => {
            let what = format!("{count} cells were made, then: {}", failure.what());
            let fix = format!("go on with --port {port} when the reason is gone");
            Failure::new(Exit::PartlyDone, what).fix(fix)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn each_cell_has_the_next_port_and_none_is_beyond_the_last() {
        let of = |first, count| ports(NonZeroU16::new(first).unwrap(), count);
        let numbers: Vec<_> = of(65_533, 3).unwrap().into_iter().map(NonZeroU16::get).collect();
        assert_eq!(numbers, [65_533, 65_534, 65_535]);
        assert_eq!(of(65_533, 4).unwrap_err().exit, Exit::Usage);
    }
}
