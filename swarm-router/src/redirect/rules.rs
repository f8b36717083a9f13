//! The rules that bring the connections of many ports to one.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::message::{Attributes, Batch, Verb};

/// Hooks of the kernel: what comes in from the network, and what this machine sends itself.
const HOOKS: [(&str, u32); 2] = [("incoming", 0), ("own", 3)];

/// After those who publish single ports, such as Docker (-100): what they take is theirs.
const PRIORITY: i32 = -90;

/// Removed by the kernel with the socket that made it.
const TABLE_IS_OWNED: u32 = 2;

/// The ports of this machine that somebody else listens on.
const BUSY: &str = "busy";

/// Where the kernel keeps what an expression found, for the next one.
const REGISTER: u32 = 8;
/// Four registers of four bytes.
const WIDE_REGISTER: u32 = 1;

/// Elements that go into one message, whose length has 16 bits.
const ELEMENTS_MAX: usize = 2_048;

/// Which connections are brought where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) table: String,
    /// The address that they must go to; an unspecified one is any of this machine's own.
    pub(super) address: IpAddr,
    pub(super) ports: Vec<RangeInclusive<u16>>,
    pub(super) front: u16,
}

impl Plan {
    /// From now on it is so, whatever was there in this table before; these ports are somebody
    /// else's.
    pub(super) fn establish(&self, number: u32, busy: &[u16]) -> Batch {
        let mut batch = Batch::new(number);
        self.frame(&mut batch);
        batch.add(Verb::DeleteElements, |all| self.name_busy(all));
        for part in busy.chunks(ELEMENTS_MAX) {
            self.add_elements(&mut batch, Verb::NewElements, part);
        }
        for (chain, _) in HOOKS {
            batch.add(Verb::DeleteRules, |old| {
                old.text(1, &self.table);
                old.text(2, chain);
            });
            for ports in &self.ports {
                self.rule(&mut batch, Verb::NewRule, chain, |rule| self.redirect(rule, ports));
            }
        }
        batch
    }

    /// Some ports are somebody else's from now on, and others no longer.
    pub(super) fn change(&self, number: u32, more: &[u16], fewer: &[u16]) -> Batch {
        let mut batch = Batch::new(number);
        for (verb, ports) in [(Verb::NewElements, more), (Verb::DeleteElements, fewer)] {
            for part in ports.chunks(ELEMENTS_MAX) {
                self.add_elements(&mut batch, verb, part);
            }
        }
        batch
    }

    fn frame(&self, batch: &mut Batch) {
        batch.add(Verb::NewTable, |table| {
            table.text(1, &self.table);
            table.number(2, TABLE_IS_OWNED);
        });
        batch.add(Verb::NewSet, |set| {
            /// What programs that list rules show it as.
            const INTERNET_SERVICE: u32 = 13;
            self.name_busy(set);
            set.number(3, 0);
            set.number(4, INTERNET_SERVICE);
            set.number(5, 2);
            set.number(10, 1);
        });
        for (chain, hook) in HOOKS {
            batch.add(Verb::NewChain, |attributes| {
                attributes.text(1, &self.table);
                attributes.text(3, chain);
                attributes.nested(4, |place| {
                    place.number(1, hook);
                    place.bytes(2, &PRIORITY.to_be_bytes());
                });
                attributes.text(7, "nat");
            });
        }
    }

    /// From now on nothing new is redirected. The rules stay, for without any the kernel would
    /// forget what it has redirected.
    pub(super) fn release(&self, number: u32) -> Batch {
        let mut batch = Batch::new(number);
        for (chain, _) in HOOKS {
            self.rule(&mut batch, Verb::NewFirstRule, chain, accept);
        }
        batch
    }

    fn name_busy(&self, attributes: &mut Attributes<'_>) {
        attributes.text(1, &self.table);
        attributes.text(2, BUSY);
    }

    fn add_elements(&self, batch: &mut Batch, verb: Verb, ports: &[u16]) {
        batch.add(verb, |elements| {
            self.name_busy(elements);
            elements.nested(3, |list| {
                for port in ports {
                    list.nested(1, |element| {
                        element.nested(1, |key| key.bytes(1, &port.to_be_bytes()));
                    });
                }
            });
        });
    }

    fn rule(
        &self,
        batch: &mut Batch,
        verb: Verb,
        chain: &str,
        write: impl FnOnce(&mut Expressions<'_, '_>),
    ) {
        batch.add(verb, |rule| {
            rule.text(1, &self.table);
            rule.text(2, chain);
            rule.nested(4, |list| write(&mut Expressions(list)));
        });
    }

    fn redirect(&self, rule: &mut Expressions<'_, '_>, ports: &RangeInclusive<u16>) {
        const TCP: u8 = 6;
        const FLAGS: u8 = 0x17;
        const SYN: u8 = 0x02;
        if self.address.is_ipv4() {
            rule.load_meta(15);
            rule.must_be(&[2]);
        }
        rule.load_meta(16);
        rule.must_be(&[TCP]);
        // Only what begins a connection: the kernel also asks here about connections that were there
        // before it began to keep track of them.
        rule.load_payload(Base::Transport, 13, 1);
        rule.mask(FLAGS);
        rule.must_be(&[SYN]);
        rule.load_payload(Base::Transport, 2, 2);
        rule.must_be_within(ports);
        rule.must_not_be_busy();
        match self.address {
            address if address.is_unspecified() => {}
            IpAddr::V4(address) => {
                rule.load_payload(Base::Network, 16, 4);
                rule.must_be(&address.octets());
            }
            IpAddr::V6(address) => {
                rule.load_wide_payload(24);
                rule.wide_must_be(&address.octets());
            }
        }
        rule.must_go_to_this_machine();
        rule.go_to(self.front);
    }
}

fn accept(rule: &mut Expressions<'_, '_>) {
    rule.add("immediate", |verdict| {
        verdict.number(1, 0);
        verdict.nested(2, |data| data.nested(2, |code| code.number(1, 1)));
    });
}

#[derive(Debug, Clone, Copy)]
enum Base {
    Network = 1,
    Transport = 2,
}

/// A rule is a list of these: each finds something, or ends the rule unless it fits.
struct Expressions<'a, 'b>(&'a mut Attributes<'b>);

impl Expressions<'_, '_> {
    fn add(&mut self, name: &str, write: impl FnOnce(&mut Attributes<'_>)) {
        self.0.nested(1, |expression| {
            expression.text(1, name);
            expression.nested(2, write);
        });
    }

    fn load_meta(&mut self, key: u32) {
        self.add("meta", |meta| {
            meta.number(1, REGISTER);
            meta.number(2, key);
        });
    }

    fn load_payload(&mut self, base: Base, offset: u32, length: u32) {
        self.load(REGISTER, base, offset, length);
    }

    fn load_wide_payload(&mut self, offset: u32) {
        self.load(WIDE_REGISTER, Base::Network, offset, 16);
    }

    fn load(&mut self, register: u32, base: Base, offset: u32, length: u32) {
        self.add("payload", |payload| {
            payload.number(1, register);
            payload.number(2, base as u32);
            payload.number(3, offset);
            payload.number(4, length);
        });
    }

    fn mask(&mut self, mask: u8) {
        self.add("bitwise", |bitwise| {
            bitwise.number(1, REGISTER);
            bitwise.number(2, REGISTER);
            bitwise.number(3, 1);
            bitwise.nested(4, |data| data.bytes(1, &[mask]));
            bitwise.nested(5, |data| data.bytes(1, &[0]));
        });
    }

    fn must_be(&mut self, value: &[u8]) {
        self.compare(REGISTER, value);
    }

    fn wide_must_be(&mut self, value: &[u8]) {
        self.compare(WIDE_REGISTER, value);
    }

    fn compare(&mut self, register: u32, value: &[u8]) {
        self.add("cmp", |cmp| {
            cmp.number(1, register);
            cmp.number(2, 0);
            cmp.nested(3, |data| data.bytes(1, value));
        });
    }

    fn must_be_within(&mut self, ports: &RangeInclusive<u16>) {
        self.add("range", |range| {
            range.number(1, REGISTER);
            range.number(2, 0);
            range.nested(3, |data| data.bytes(1, &ports.start().to_be_bytes()));
            range.nested(4, |data| data.bytes(1, &ports.end().to_be_bytes()));
        });
    }

    fn must_not_be_busy(&mut self) {
        self.add("lookup", |lookup| {
            lookup.text(1, BUSY);
            lookup.number(2, REGISTER);
            lookup.number(5, 1);
        });
    }

    fn must_go_to_this_machine(&mut self) {
        const TYPE_OF_ADDRESS: u32 = 3;
        const DESTINATION: u32 = 2;
        const LOCAL: u32 = 2;
        self.add("fib", |fib| {
            fib.number(1, REGISTER);
            fib.number(2, TYPE_OF_ADDRESS);
            fib.number(3, DESTINATION);
        });
        self.must_be(&LOCAL.to_ne_bytes());
    }

    /// Another port of the same address.
    fn go_to(&mut self, port: u16) {
        const DESTINATION: u32 = 1;
        const EITHER_FAMILY: u32 = 1;
        self.add("immediate", |immediate| {
            immediate.number(1, REGISTER);
            immediate.nested(2, |data| data.bytes(1, &port.to_be_bytes()));
        });
        self.add("nat", |nat| {
            nat.number(1, DESTINATION);
            nat.number(2, EITHER_FAMILY);
            nat.number(5, REGISTER);
        });
    }
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn plan(address: &str) -> Plan {
        let (address, table) = (address.parse().unwrap(), "warren-router-9466".to_owned());
        Plan { table, address, ports: vec![20_000..=59_999, 7..=7], front: 9_466 }
    }

    /// The pieces of a message or of a piece: their kinds and what they have.
    fn pieces(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
        let mut pieces = Vec::new();
        while let [a, b, c, d, ..] = bytes {
            let length = usize::from(u16::from_le_bytes([*a, *b]));
            pieces.push((u16::from_le_bytes([*c, *d]) & 0x3fff, &bytes[4..length]));
            bytes = &bytes[length.next_multiple_of(4)..];
        }
        assert!(bytes.is_empty());
        pieces
    }

    /// The kinds of a batch's messages, and their pieces.
    fn messages(batch: Batch) -> Vec<(u16, Vec<u8>)> {
        let (bytes, _) = batch.finish();
        let (mut bytes, mut messages) = (&bytes[..], Vec::new());
        while !bytes.is_empty() {
            let length =
                usize::try_from(u32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap();
            let kind = u16::from_le_bytes(bytes[4..6].try_into().unwrap());
            messages.push((kind, bytes[20..length].to_vec()));
            bytes = &bytes[length..];
        }
        messages
    }

    fn expressions(rule: &[u8]) -> Vec<(String, Vec<u8>)> {
        let (_, list) = *pieces(rule).iter().find(|(kind, _)| *kind == 4).unwrap();
        let one = |(_, bytes): &(u16, &[u8])| {
            let inner = pieces(bytes);
            let name = String::from_utf8(inner[0].1.to_vec()).unwrap();
            (name.trim_end_matches('\0').to_owned(), inner[1].1.to_vec())
        };
        pieces(list).iter().map(one).collect()
    }

    #[test]
    fn a_table_with_two_chains_has_a_rule_in_each_for_each_range() {
        let busy: Vec<u16> = (20_000..25_000).collect();
        let messages = messages(plan("0.0.0.0").establish(1, &busy));
        let kinds: Vec<_> = messages.iter().map(|(kind, _)| kind & 0xff).collect();
        assert_eq!(kinds, [16, 0, 9, 3, 3, 14, 12, 12, 12, 8, 6, 6, 8, 6, 6, 17]);
        let table = pieces(&messages[1].1);
        assert_eq!(table, [(1, &b"warren-router-9466\0"[..]), (2, &[0, 0, 0, 2][..])]);
    }

    #[test]
    fn a_rule_asks_what_begins_a_connection_and_changes_its_port_alone() {
        for (address, wanted) in [
            ("0.0.0.0", "meta cmp meta cmp payload bitwise cmp payload range lookup fib cmp"),
            ("::", "meta cmp payload bitwise cmp payload range lookup fib cmp"),
            ("::1", "meta cmp payload bitwise cmp payload range lookup payload cmp fib cmp"),
        ] {
            let messages = messages(plan(address).establish(1, &[]));
            let (_, rule) = messages.iter().find(|(kind, _)| kind & 0xff == 6).unwrap();
            let expressions = expressions(rule);
            let names: Vec<_> = expressions.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.join(" "), format!("{wanted} immediate nat"), "{address}");
            let of = |name: &str| &expressions.iter().find(|(known, _)| known == name).unwrap().1;
            let ports = pieces(of("range"));
            assert_eq!(pieces(ports[2].1)[0].1, [0x4e, 0x20]);
            assert_eq!(pieces(ports[3].1)[0].1, [0xea, 0x5f]);
            let numbers: Vec<_> = pieces(of("nat")).iter().map(|(kind, n)| (*kind, n[3])).collect();
            assert_eq!(numbers, [(1, 1), (2, 1), (5, 8)]);
        }
    }
}
