#![allow(clippy::unwrap_used)]

use atlas::Atlas;

use super::*;

fn imported(text: &[u8], format: Option<Format>) -> (Vec<String>, Option<String>) {
    let (atlas, bad) = read(text, format).unwrap().finish(true).unwrap();
    (rows(&atlas), bad.map(|bad| bad.to_string()))
}

pub(super) fn rows(atlas: &Atlas) -> Vec<String> {
    let mut rows = Vec::new();
    let mut cursor = atlas.cursor();
    while let Some(row) = cursor.next() {
        let row = row.unwrap();
        let name = String::from_utf8(row.name.to_vec()).unwrap();
        rows.push(format!("{name} {}", row.place.address()));
    }
    rows
}

fn refused(text: &[u8], format: Option<Format>) -> String {
    read(text, format).unwrap().finish(false).unwrap_err().to_string()
}

#[test]
fn a_list_in_any_order_becomes_an_atlas() {
    let list = "# name\taddress\n@Bob\tone.example:2\r\n\nal.ice\tone.example:1";
    for format in [None, Some(Format::Tsv), Some(Format::AtServers)] {
        let (rows, bad) = imported(list.as_bytes(), format);
        assert_eq!(rows, ["alice one.example:1", "bob one.example:2"]);
        assert_eq!(bad, None);
    }
    assert!(imported(b"", None).0.is_empty());
}

#[test]
fn the_file_of_a_split_horizon_directory_is_understood() {
    let file =
        "  # ours\ncolin   cally.lan:6464\n@kevin\t \tcally.lan:6465  # his\n\nbob🛠 cally.lan:1   ";
    for format in [None, Some(Format::AtServers)] {
        let (rows, bad) = imported(file.as_bytes(), format);
        assert_eq!(rows, ["bob🛠 cally.lan:1", "colin cally.lan:6464", "kevin cally.lan:6465"]);
        assert_eq!(bad, None);
    }
    assert!(
        refused(file.as_bytes(), Some(Format::Tsv))
            .starts_with("line 2: this is not a name, a tab")
    );
}

#[test]
fn hosts_that_begin_with_their_identity_come_back_whole() {
    let list = "alice\talice.id.example:1\nbob\talice.id.example:2\nx_y\tu1-tga-xy.id.example:3\n";
    let (rows, _) = imported(list.as_bytes(), None);
    assert_eq!(
        rows,
        ["alice alice.id.example:1", "bob alice.id.example:2", "x_y u1-tga-xy.id.example:3"]
    );
}

#[test]
fn bad_rows_are_refused_or_counted() {
    let long = "x".repeat(5_000);
    for (row, why) in [
        ("b one:1", "line 2: this is not a name, a tab and host:port"),
        ("a b\tone:1", "line 2: an atSign cannot contain the character U+0020"),
        ("b\tone", "line 2: an address has the form"),
        ("b\t", "line 2: this is not a name, a tab"),
        (&*long, "line 2: this is longer than 1024 bytes"),
        ("@Alice\ttwo:2", "@alice stands on line 1 and again on line 2"),
    ] {
        let list = format!("alice\tone:1\n{row}\ncarol\tone:3\n");
        let said = refused(list.as_bytes(), None);
        assert!(said.starts_with(why), "{said}");
        let (rows, bad) = imported(list.as_bytes(), None);
        let alice = if row.starts_with('@') { "alice two:2" } else { "alice one:1" };
        assert_eq!(rows, [alice, "carol one:3"]);
        assert_eq!(bad, Some(said));
        let twice = format!("{list}dave\n");
        assert!(refused(twice.as_bytes(), None).ends_with("; 2 such rows in all"));
    }
    assert!(refused(b"\xff\tone:1", None).starts_with("line 1: this is not UTF-8"));
}

#[test]
fn a_line_without_end_takes_no_memory() {
    let endless = io::Read::take(io::repeat(b'x'), 1 << 24);
    let survey = read(io::BufReader::new(endless), None).unwrap();
    let said = survey.finish(false).unwrap_err().to_string();
    assert!(said.starts_with("line 1: this is longer"), "{said}");
}

fn dump(version: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = [b"REDIS", version.as_bytes(), body, &[0xff]].concat();
    if version >= "0005" {
        bytes.extend_from_slice(&crc64::add(0, &bytes).to_le_bytes());
    }
    bytes
}

#[test]
fn dumps_of_all_versions_are_read_and_newer_ones_refused() {
    let body = b"\xfe\x00\x00\x05alice\x05one:1";
    for version in 1..=12 {
        let (rows, bad) = imported(&dump(&format!("{version:04}"), body), None);
        assert_eq!((rows, bad), (vec!["alice one:1".to_owned()], None));
    }
    for version in ["0000", "0013", "0080", "00x1"] {
        assert!(read(&dump(version, body)[..], None).is_err());
    }
    assert!(read(&b"RED"[..], Some(Format::Rdb)).is_err());
    // Without a checksum, as Redis is sometimes told.
    let mut plain = dump("0011", body);
    let end = plain.len() - 8;
    plain[end..].fill(0);
    assert_eq!(imported(&plain, Some(Format::Rdb)).0.len(), 1);
}

#[test]
fn a_dump_with_any_bit_flipped_or_cut_is_refused() {
    let good = dump("0011", b"\xfa\x01a\x01b\xfe\x00\xfb\x01\x00\x00\x05alice\x05one:1");
    assert_eq!(imported(&good, None).0.len(), 1);
    for at in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[at / 8] ^= 1 << (at % 8);
        assert!(read(&bad[..], Some(Format::Rdb)).is_err(), "bit {at}");
    }
    for cut in 0..good.len() {
        assert!(read(&good[..cut], Some(Format::Rdb)).is_err(), "cut at {cut}");
    }
    assert!(read(&[&good[..], b"\n"].concat()[..], None).is_err());
}

#[test]
fn lengths_that_lie_reserve_nothing_and_end() {
    for body in [
        &b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x00\x05alice\xc3\x80\xff\xff\xff\xff\x80\xff\xff\xff\xff",
        b"\x01\x01a\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0f\x01a\x81\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x03\x01a\x01\x01a\xfa",
    ] {
        assert!(matches!(read(&dump("0011", body)[..], None), Err(ImportError::Rdb(_))));
    }
}
