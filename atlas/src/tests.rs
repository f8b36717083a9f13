#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::dns_name::Labels;
use protocol::{Epoch, HostLabel, HostName};

use super::*;

/// What an atlas should say.
type Model = BTreeMap<String, (HostName, NonZeroU16, Epoch)>;

fn pack(model: &Model) -> Atlas {
    let mut packer = Packer::default();
    for (name, (host, port, epoch)) in model {
        packer
            .push(name.as_bytes(), Place { host: host.into(), port: *port, epoch: *epoch })
            .unwrap();
    }
    let segments = packer.finish().unwrap();
    segments.iter().for_each(|segment| segment.verify().unwrap());
    Atlas::new(segments.into_iter().map(Arc::new).collect()).unwrap()
}

fn unpack(atlas: &Atlas) -> Model {
    let mut model = Model::new();
    let mut cursor = atlas.cursor();
    while let Some(row) = cursor.next() {
        let Row { name, place } = row.unwrap();
        let name = String::from_utf8(name.to_vec()).unwrap();
        assert!(model.insert(name, (place.host.to_name(), place.port, place.epoch)).is_none());
    }
    model
}

fn names() -> impl Strategy<Value = String> {
    // Few letters, so that names share much and differ late; some long, some beyond ASCII.
    prop_oneof![
        8 => "[ab]{1,12}",
        2 => "[a-d]{1,3}[0-9]{1,4}",
        1 => "(ab){10,119}",
        1 => "[🛠🦄é]{1,20}",
    ]
}

/// A host, or a suffix for one that begins with the identity's labels, where that is one.
#[derive(Debug, Clone)]
enum At {
    Host(String),
    Below(String),
    Labelled(String),
}

impl At {
    fn host(&self, name: &str) -> HostName {
        let labels = Labels::of(name);
        match (self, labels) {
            (Self::Below(suffix), Some(labels)) => {
                HostName::parse(&format!("{}.{suffix}", labels.as_str()))
                    .unwrap_or_else(|_| HostName::parse(suffix).unwrap())
            }
            (Self::Labelled(domain), _) => {
                HostName::parse(&format!("{}.{domain}", HostLabel::of_bare(name))).unwrap()
            }
            (Self::Host(host) | Self::Below(host), _) => HostName::parse(host).unwrap(),
        }
    }
}

fn wheres() -> impl Strategy<Value = (At, NonZeroU16, Epoch)> {
    let host = prop_oneof![
        4 => "[ab]\\.example".prop_map(At::Host),
        1 => "[a-z]{1,60}(\\.[a-z]{1,60}){0,2}".prop_map(At::Host),
        3 => "[ab]\\.example".prop_map(At::Below),
        3 => "[ab]\\.example".prop_map(At::Labelled),
        1 => "[a-z]{1,60}(\\.[a-z]{1,60}){0,3}".prop_map(At::Below),
    ];
    let epoch = prop_oneof![3 => Just(1), 1 => 1_u64.., 1 => Just(u64::MAX)];
    (host, 1_u16.., epoch).prop_map(|(host, port, epoch)| {
        (host, NonZeroU16::new(port).unwrap(), Epoch::from_number(epoch).unwrap())
    })
}

fn place_of(
    name: &str,
    (at, port, epoch): &(At, NonZeroU16, Epoch),
) -> (HostName, NonZeroU16, Epoch) {
    (at.host(name), *port, *epoch)
}

fn models(size: usize) -> impl Strategy<Value = Model> {
    prop::collection::btree_map(names(), wheres(), 0..size).prop_map(|wheres| {
        wheres.iter().map(|(name, at)| (name.clone(), place_of(name, at))).collect()
    })
}

proptest! {
    #[test]
    fn what_was_packed_is_found_and_nothing_else(model in models(200), asked in names()) {
        let atlas = pack(&model);
        prop_assert_eq!(atlas.len(), model.len());
        prop_assert_eq!(&unpack(&atlas), &model);
        let found = |name: &str| {
            atlas.find(name.as_bytes()).map(|p| (p.host.to_name(), p.port, p.epoch))
        };
        for name in model.keys() {
            prop_assert_eq!(found(name), model.get(name).cloned());
            for other in [format!("{name}a"), name.chars().skip(1).collect()] {
                prop_assert_eq!(found(&other), model.get(&other).cloned());
            }
        }
        prop_assert_eq!(found(&asked), model.get(&asked).cloned());
    }

    #[test]
    fn merging_gives_the_bytes_that_packing_anew_does(
        before in models(150),
        changes in prop::collection::btree_map(names(), prop::option::of(wheres()), 0..60),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let mut changes: BTreeMap<_, _> = changes
            .iter()
            .map(|(name, at)| (name.clone(), at.as_ref().map(|at| place_of(name, at))))
            .collect();
        let all: Vec<_> = before.keys().cloned().collect();
        if !all.is_empty() {
            changes.extend(removed.iter().map(|index| (index.get(&all).clone(), None)));
        }
        let mut after = before.clone();
        for (name, change) in &changes {
            match change {
                Some(place) => drop(after.insert(name.clone(), place.clone())),
                None => drop(after.remove(name)),
            }
        }
        let patches: Vec<_> = changes
            .iter()
            .map(|(name, change)| Patch {
                name: name.as_bytes(),
                place: change.as_ref().map(|(host, port, epoch)| Place { host: host.into(), port: *port, epoch: *epoch }),
            })
            .collect();
        let old = pack(&before);
        let seen = |step: &Atlas| {
            // With the patches in front of it, every step on the way says what the end does.
            for name in before.keys().chain(after.keys()) {
                let place = match changes.get(name) {
                    Some(change) => change.clone(),
                    None => step.find(name.as_bytes()).map(|p| (p.host.to_name(), p.port, p.epoch)),
                };
                assert_eq!(place.as_ref(), after.get(name));
            }
        };
        let merged = old.clone().merge(&patches, seen).unwrap();
        let fresh = pack(&after);
        prop_assert_eq!(unpack(&merged), after);
        prop_assert_eq!(merged.segments(), fresh.segments());
        prop_assert_eq!(merged.len(), fresh.len());
    }

    #[test]
    fn damage_is_refused_or_found_and_never_a_panic(
        model in models(60),
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        asked in names(),
    ) {
        for segment in pack(&model).segments() {
            let mut bytes = segment.bytes().to_vec();
            *at.get_mut(&mut bytes) ^= 1 << bit;
            look_at(bytes.clone(), &asked);
            bytes.truncate(at.index(bytes.len()));
            look_at(bytes, &asked);
        }
    }

    #[test]
    fn any_bytes_at_all_are_no_danger(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        look_at(bytes, "alice");
    }
}

/// Whatever comes of it, it must end.
fn look_at(bytes: Vec<u8>, asked: &str) {
    let Ok(segment) = Segment::from_bytes(bytes) else { return };
    let _ = segment.find(asked.as_bytes());
    drop(segment.verify());
    let atlas = Atlas::of(vec![Arc::new(segment)]);
    let mut cursor = atlas.cursor();
    while cursor.next().is_some() {}
}

fn place(host: &HostName) -> Place<'_> {
    Place { host: host.into(), port: NonZeroU16::MIN, epoch: Epoch::FIRST }
}

/// The only segment that these names and hosts make.
fn one_segment(rows: &[(&str, &str)]) -> Segment {
    let mut packer = Packer::default();
    for (name, host) in rows {
        packer.push(name.as_bytes(), place(&HostName::parse(host).unwrap())).unwrap();
    }
    let mut segments = packer.finish().unwrap();
    assert_eq!(segments.len(), 1);
    segments.remove(0)
}

fn holds(segment: &Segment, text: &str) -> bool {
    segment.bytes().windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn hosts_that_begin_with_their_identity_are_one_template() {
    let coded = format!("{}.id.example", Labels::of("abé").unwrap().as_str());
    assert!(coded.starts_with("u1-"), "{coded}");
    let rows = [("ab", "ab.id.example"), ("aba", "ab.id.example"), ("abé", &coded)];
    let segment = one_segment(&rows);
    assert!(holds(&segment, "*.id.example") && holds(&segment, "ab.id.example"));
    assert!(!holds(&segment, "u1-"));
    for (name, host) in rows {
        assert_eq!(&segment.find(name.as_bytes()).unwrap().host, host);
    }
    segment.verify().unwrap();
}

#[test]
fn hosts_with_the_label_of_their_identity_are_one_template() {
    let host = |name: &str| format!("{}.id.example", HostLabel::of_bare(name));
    let (ab, abe) = (host("ab"), host("abé"));
    let rows = [("ab", ab.as_str()), ("aba", &ab), ("abé", &abe)];
    let segment = one_segment(&rows);
    assert!(holds(&segment, "#.id.example") && holds(&segment, &ab) && !holds(&segment, &abe));
    for (name, host) in rows {
        assert_eq!(&segment.find(name.as_bytes()).unwrap().host, host);
    }
    segment.verify().unwrap();
    // Told in the form that others have, it is not sound.
    let other = with(&segment, &ab, &host("aba")).unwrap();
    assert!(other.verify().is_err());
    for bad in ["#..d.example", "##id.example", "#*id.example"] {
        assert!(with(&segment, "#.id.example", bad).is_err(), "{bad}");
    }
}

/// The same bytes with another text of the same length in them.
fn with(segment: &Segment, old: &str, new: &str) -> Result<Segment, Damaged> {
    assert_eq!(old.len(), new.len());
    let mut bytes = segment.bytes().to_vec();
    let at = bytes.windows(old.len()).position(|part| part == old.as_bytes()).unwrap();
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    Segment::from_bytes(bytes)
}

#[test]
fn a_host_that_could_be_a_template_and_is_none_is_not_sound() {
    let segment = one_segment(&[("ab", "xy.id.example")]);
    let other = with(&segment, "xy.id.example", "ab.id.example").unwrap();
    assert_eq!(&other.find(b"ab").unwrap().host, "ab.id.example");
    assert!(other.verify().is_err());
    // Nor is a template that nobody uses, or a mark without a suffix.
    for bad in ["*.xyid.exampl", "*y.id.example", "*..id.example", "**.id.example"] {
        let bad = with(&segment, "xy.id.example", bad);
        assert!(
            bad.is_err() || bad.is_ok_and(|bad| bad.find(b"ab").unwrap().host == *"ab.xyid.exampl")
        );
    }
}

#[test]
fn a_template_that_makes_no_host_name_makes_its_names_unknown() {
    let long = "a".repeat(63);
    let suffix = format!("{0}.{0}.{1}", "s".repeat(60), "s".repeat(67 - 4));
    let whole = one_segment(&[(&long, &suffix)]);
    let template = format!("*.{}", &suffix[..suffix.len() - 2]);
    let fits = with(&whole, &suffix, &template).unwrap();
    assert_eq!(fits.find(long.as_bytes()).unwrap().host.to_name().as_str().len(), 63 + 1 + 183);
    fits.verify().unwrap();
    let suffix = format!("{suffix}.example");
    let whole = one_segment(&[(&long, &suffix)]);
    let template = format!("*.{}", &suffix[..suffix.len() - 2]);
    let too_long = with(&whole, &suffix, &template).unwrap();
    assert_eq!(too_long.find(long.as_bytes()), None);
    assert!(too_long.verify().is_err());
}

#[test]
fn names_out_of_order_too_long_or_empty_are_refused() {
    let host = HostName::parse("localhost").unwrap();
    let mut packer = Packer::default();
    packer.push(b"b", place(&host)).unwrap();
    assert!(matches!(packer.push(b"a", place(&host)), Err(PackError::Order(_))));
    assert!(matches!(packer.push(b"b", place(&host)), Err(PackError::Order(_))));
    assert_eq!(packer.push(b"", place(&host)), Err(PackError::Length(0)));
    assert_eq!(packer.push(&[b'c'; 241], place(&host)), Err(PackError::Length(241)));
    packer.push(&[b'c'; 240], place(&host)).unwrap();
    assert_eq!(packer.finish().unwrap().iter().map(Segment::len).sum::<usize>(), 2);
}

/// What a proof says as JSON, with one thing changed.
fn changed(proof: &Proof, pointer: &str, to: serde_json::Value) -> Option<Proof> {
    let mut json = serde_json::to_value(proof).unwrap();
    *json.pointer_mut(pointer)? = to;
    serde_json::from_value(json).ok()
}

proptest! {
    #[test]
    fn each_name_is_proven_by_the_root_and_no_other_is(
        model in models(150),
        stranger in names(),
    ) {
        let atlas = pack(&model);
        let root = atlas.root().unwrap();
        for (text, (host, port, epoch)) in &model {
            let name = protocol::AtSign::parse(text).unwrap();
            let proof = atlas.prove(text.as_bytes()).unwrap().unwrap();
            let (address, at) = proof.check(&root, &name).unwrap();
            prop_assert_eq!((&address.host, address.port, at), (host, *port, *epoch));
            let json = serde_json::to_vec(&proof).unwrap();
            prop_assert_eq!(&serde_json::from_slice::<Proof>(&json).unwrap(), &proof);
        }
        if !model.contains_key(&stranger) {
            prop_assert_eq!(atlas.prove(stranger.as_bytes()).unwrap(), None);
        }
    }

    #[test]
    fn a_proof_proves_nothing_else(model in models(150), pick in any::<prop::sample::Index>()) {
        prop_assume!(!model.is_empty());
        let atlas = pack(&model);
        let root = atlas.root().unwrap();
        let text = model.keys().nth(pick.index(model.len())).unwrap();
        let name = protocol::AtSign::parse(text).unwrap();
        let proof = atlas.prove(name.bare().as_bytes()).unwrap().unwrap();
        let zeros = serde_json::json!("00".repeat(32));
        for (pointer, to) in [
            ("/rows/0/address", serde_json::json!("evil.example:1")),
            ("/rows/0/epoch", serde_json::json!(999_999)),
            ("/rows/0/identity", serde_json::json!("@mallory_not_here")),
            ("/bytes", zeros.clone()),
            ("/names", serde_json::json!(model.len() + 1)),
            ("/block/index", serde_json::json!(500)),
            ("/block/count", serde_json::json!(500)),
            ("/block/path/0", zeros.clone()),
            ("/segment/index", serde_json::json!(500)),
            ("/segment/count", serde_json::json!(500)),
            ("/segment/path/0", zeros),
        ] {
            if let Some(changed) = changed(&proof, pointer, to) {
                prop_assert!(changed.check(&root, &name).is_err(), "{}", pointer);
            }
        }
        let absent = protocol::AtSign::parse("mallory_not_here").unwrap();
        prop_assert_eq!(proof.check(&root, &absent), Err(ProofError::OtherName));
    }

    #[test]
    fn the_root_tells_contents_apart_and_not_how_they_came_to_be(
        before in models(80),
        after in models(80),
    ) {
        let patches: Vec<_> = before
            .keys()
            .chain(after.keys())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .map(|name| Patch {
                name: name.as_bytes(),
                place: after.get(name).map(|(host, port, epoch)| Place {
                    host: host.into(),
                    port: *port,
                    epoch: *epoch,
                }),
            })
            .collect();
        let merged = pack(&before).merge(&patches, |_| {}).unwrap();
        prop_assert_eq!(merged.root().unwrap(), pack(&after).root().unwrap());
        let is_same = pack(&before).root().unwrap() == pack(&after).root().unwrap();
        prop_assert_eq!(is_same, before == after);
    }
}
