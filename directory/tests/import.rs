//! Taking over a directory from the dump of its Redis, as a real one writes it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use directory::import::{ImportError, RdbError, Survey, read};
use testkit::RedisServer;

fn import(file: &Path) -> Result<Survey, ImportError> {
    read(std::io::BufReader::new(std::fs::File::open(file).unwrap()), None)
}

fn rows(survey: Survey) -> (Vec<String>, u64) {
    let (atlas, bad) = survey.finish(true).unwrap();
    let mut rows = Vec::new();
    let mut cursor = atlas.cursor();
    while let Some(row) = cursor.next() {
        let row = row.unwrap();
        let name = std::str::from_utf8(row.name).unwrap();
        rows.push(format!("{name} {}", row.place.address()));
    }
    (rows, bad.map_or(0, |bad| bad.count))
}

fn ask(redis: &RedisServer, words: &str) {
    let words: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let said = redis.ask(&words);
    assert!(!said.starts_with(b"-"), "{}", String::from_utf8_lossy(&said));
}

/// Identities of every kind that Redis writes in a way of its own.
fn identities() -> Vec<(String, String)> {
    let long = format!("{}example:25000", "swarm.".repeat(30));
    let mut all = vec![
        ("alice".to_owned(), "one.example:1".to_owned()),
        ("bob🛠".to_owned(), "two.example:65535".to_owned()),
        ("compressed".to_owned(), long),
        ("name".repeat(50), "three.example:3".to_owned()),
    ];
    for number in ["7", "-7", "4711", "-4711", "123456789", "12345678901234"] {
        all.push((number.to_owned(), "four.example:4".to_owned()));
    }
    for number in 0..2_000 {
        all.push((format!("many{number}"), format!("many{number}.id.example:{}", number + 1)));
    }
    all.sort();
    all
}

fn fill(redis: &RedisServer) {
    for (name, address) in identities() {
        ask(redis, &format!("SET {name} {address}"));
    }
}

/// Keys that are of no use, of every type, small and large; how many there are.
fn fill_with_others(redis: &RedisServer) -> u64 {
    let many = |each: &dyn Fn(u32) -> String| (0..1_000).map(each).collect::<Vec<_>>().join(" ");
    let commands = [
        "SET other:expires one.example:1 PX 1000000".to_owned(),
        "SET other:expires-too one.example:1 EX 1000000".to_owned(),
        "SET other:number 12".to_owned(),
        "SET other:empty no-address".to_owned(),
        format!("SET other:long {}", "x".repeat(100_000)),
        "RPUSH other:list a b c".to_owned(),
        format!("RPUSH other:list-large {}", many(&|n| format!("{n}{}", "y".repeat(50)))),
        "SADD other:set a b".to_owned(),
        "SADD other:integers 1 2 3".to_owned(),
        format!("SADD other:set-large {}", many(&|n| format!("member{n}"))),
        "ZADD other:sorted 1.5 a inf b".to_owned(),
        format!("ZADD other:sorted-large {}", many(&|n| format!("{n} member{n}"))),
        "HSET other:hash a 1 b 2".to_owned(),
        format!("HSET other:hash-large {}", many(&|n| format!("field{n} value{n}"))),
        "XADD other:stream 1-1 a b".to_owned(),
    ];
    commands.iter().for_each(|command| ask(redis, command));
    for number in 2..500 {
        ask(redis, &format!("XADD other:stream {number}-1 field value{number}"));
    }
    ask(redis, "XGROUP CREATE other:stream group 0");
    ask(redis, "XREADGROUP GROUP group reader COUNT 100 STREAMS other:stream >");
    redis.ask(&[
        b"FUNCTION",
        b"LOAD",
        b"#!lua name=mine\nredis.register_function('f', function() return 1 end)",
    ]);
    commands.len() as u64
}

fn dump(options: &[&str]) -> (tempfile::TempDir, Vec<String>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), options);
    fill(&redis);
    let others = fill_with_others(&redis);
    ask(&redis, "SELECT 3");
    assert_eq!(redis.ask(&[b"SAVE"]), b"+OK");
    let wanted = identities().iter().map(|(name, address)| format!("{name} {address}")).collect();
    (folder, wanted, others)
}

#[test]
fn what_redis_has_dumped_is_taken_over() {
    for options in [
        &[][..],
        &["--rdbcompression", "no"],
        &["--rdbchecksum", "no"],
        &["--maxmemory-policy", "allkeys-lfu", "--maxmemory", "100mb"],
        &["--maxmemory-policy", "allkeys-lru", "--maxmemory", "100mb"],
    ] {
        let (folder, wanted, others) = dump(options);
        let (rows, bad) = rows(import(&folder.path().join("dump.rdb")).unwrap());
        assert!(rows == wanted, "{options:?}: {} rows", rows.len());
        assert_eq!(bad, others, "{options:?}");
    }
}

#[test]
fn keys_that_are_no_identities_are_named_unless_they_may_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start(folder.path(), &[]);
    ask(&redis, "SET alice one.example:1");
    ask(&redis, "RPUSH queue a b");
    assert_eq!(redis.ask(&[b"SAVE"]), b"+OK");
    let survey = import(&folder.path().join("dump.rdb")).unwrap();
    let said = survey.finish(false).unwrap_err().to_string();
    assert!(said.ends_with(", \"queue\": this is a list, and addresses are texts"), "{said}");
}

#[test]
fn a_damaged_dump_is_refused() {
    let (folder, ..) = dump(&[]);
    let good = std::fs::read(folder.path().join("dump.rdb")).unwrap();
    let refuses = |bytes: &[u8]| matches!(read(bytes, None), Err(ImportError::Rdb(_)));
    assert!(!refuses(&good));
    for at in (9..good.len()).step_by(2_003) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(refuses(&bad), "byte {at}");
        assert!(refuses(&good[..at]), "cut at {at}");
    }
    let mut last = good.clone();
    *last.last_mut().unwrap() ^= 1;
    assert!(matches!(read(&last[..], None), Err(ImportError::Rdb(RdbError::Checksum))));
}
