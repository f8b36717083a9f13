//! update, update:meta, llookup, scan and delete of the own keys (sections 5.3 to 5.9, 6).

use std::sync::Arc;

use super::lab::Lab;

#[tokio::test]
async fn s086_s087_s088_s162_values_come_back_byte_for_byte() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for value in [
        "v",
        "日本語 🦄🛠️",
        "a:b@c \"quoted\" {json} 'x'",
        " a blank in front",
        "data:x error:y",
        "line~NL~feed",
        "a\u{2028}b\u{85}c",
        "atsign://x@alice",
    ] {
        owner.data(&format!("update:public:loc.x@alice {value}")).await;
        assert_eq!(owner.data("llookup:public:loc.x@alice").await, value);
    }
}

#[tokio::test]
async fn s089_to_s093_s098_wrong_updates_are_refused() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for (command, code) in [
        ("update:x@alice", "AT0003"),
        ("update:public:@bob:x@alice v", "AT0003"),
        ("update:x@alice@alice v", "AT0003"),
        ("update:country,current@alice v", "AT0016"),
        ("update:private:x@alice v", "AT0003"),
        ("update:cached:@bob:x@alice v", "AT0016"),
        ("update:privatekey:at_secret v", "AT0003"),
        ("update:ttl:-1:x@alice v", "AT0003"),
        ("update:ttb:-1:x@alice v", "AT0003"),
        ("update:ttr:-2:x@alice v", "AT0003"),
    ] {
        let answer = owner.ask(command).await;
        assert!(answer.starts_with("error:AT00"), "{command}: {answer}");
        assert!(answer.starts_with(&format!("error:{code}-")), "{command}: {answer}");
    }
    let text = "error:AT0016-Invalid key : Invalid update command - sharedBy atsign @bob should be \
                same as current atsign @alice\n@alice@";
    assert_eq!(owner.ask("update:x@bob v").await, text);
    assert_eq!(owner.data("scan").await, owner.data("scan").await);
    assert!(!owner.data("scan:showHidden:true").await.contains("x@"), "nothing was written");
}

#[tokio::test]
async fn s094_s095_s096_keys_are_lower_case_bounded_and_may_be_emoji() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:Phone.Wavi@alice 1").await;
    assert_eq!(owner.data("llookup:phone.wavi@alice").await, "1");
    assert_eq!(owner.data("llookup:PHONE.wavi@Alice").await, "1");
    assert_eq!(owner.json("scan phone").await, serde_json::json!(["phone.wavi@alice"]));
    let long = |length: usize| format!("update:{}@alice v", "k".repeat(length - "@alice".len()));
    owner.data(&long(248)).await;
    let text = "error:AT0016-Invalid key : key length 249 is greater than max allowed 248 chars";
    assert!(owner.ask(&long(249)).await.starts_with(text));
    owner.data("update:public:🦄🦄@alice horn").await;
    assert_eq!(owner.data("plookup:🦄🦄@alice").await, "horn");
    let mut open = lab.connect("@alice").await;
    assert_eq!(open.data("lookup:🦄🦄@alice").await, "horn");
    assert_eq!(open.json("scan 🦄").await, serde_json::json!(["🦄🦄@alice"]));
}

#[tokio::test]
async fn s097_s139_each_change_has_a_greater_id_than_all_before_it() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut last = -1;
    for command in [
        "update:a@alice 1",
        "update:a@alice 2",
        "update:meta:a@alice:ttr:5",
        "delete:a@alice",
        "delete:a@alice",
        "delete:never@alice",
        "update:public:__b@alice 1",
    ] {
        let commit: i64 = owner.data(command).await.parse().unwrap();
        assert!(commit > last, "{command}: {commit} after {last}");
        last = commit;
    }
    for command in ["update:privatekey:at_pkam_publickey k", "update:public:_c@alice 1"] {
        assert_eq!(owner.data(command).await, "-1", "{command} is not committed");
    }
}

#[tokio::test]
async fn s099_to_s102_keys_live_as_long_as_they_say() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut open = lab.connect("@alice").await;
    owner.data("update:ttl:3000:public:short@alice v").await;
    assert_eq!(owner.json("llookup:meta:public:short@alice").await["ttl"], 3000);
    owner.data("update:ttb:2000:public:late@alice v").await;
    owner.data("update:ttl:4000:ttb:2000:public:window@alice v").await;
    owner.data("update:ttl:3000:public:kept@alice v").await;
    owner.data("update:ttl:0:public:kept@alice v").await;
    let seen = [
        (0, "v", "null", "null"),
        (2000, "v", "v", "v"),
        (1001, "null", "v", "v"),
        (3000, "null", "v", "null"),
    ];
    for (millis, short, late, window) in seen {
        lab.clock.advance(millis);
        for (key, value) in [("short", short), ("late", late), ("window", window), ("kept", "v")] {
            assert_eq!(owner.data(&format!("llookup:public:{key}@alice")).await, value, "{key}");
            assert_eq!(open.data(&format!("lookup:{key}@alice")).await, value, "{key}");
            let is_listed = open.data("scan").await.contains(key);
            assert_eq!(is_listed, value == "v", "statement 136: {key}");
        }
        assert_eq!(owner.data("llookup:all:public:short@alice").await == "null", short == "null");
    }
}

#[tokio::test]
async fn an_expired_key_is_as_good_as_gone_before_it_is_swept() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:ttl:1000:x@alice v").await;
    lab.clock.advance(2000);
    owner.data("update:x@alice w").await;
    let meta = owner.json("llookup:meta:x@alice").await;
    assert_eq!((meta["version"].as_i64(), meta.get("ttl")), (Some(0), None));
}

#[tokio::test]
async fn what_is_over_is_swept_and_its_deletion_committed() {
    let lab =
        Lab::with(|limits| limits.sweep_interval = std::time::Duration::from_millis(50)).await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:ttl:1000:x@alice v").await;
    owner.data("notify:id:n1:ttln:1000:@alice:k@alice:v").await;
    let kept: i64 = owner.data("update:y@alice v").await.parse().unwrap();
    lab.clock.advance(2000);
    assert_eq!(owner.data("llookup:x@alice").await, "null");
    for _ in 0..100 {
        if owner.ask("llookup:x@alice").await.starts_with("error:AT0015") {
            let status = owner.data("notify:status:n1").await;
            assert_eq!(status, "null", "the notification is gone as well");
            let next: i64 = owner.data("update:y@alice v").await.parse().unwrap();
            assert!(next > kept + 1, "the deletion has an id");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("nothing is swept");
}

#[tokio::test]
async fn s104_s105_s106_s107_s108_metadata_follow_the_rules_of_updates() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:ttr:-1:isEncrypted:true:isBinary:true:dataSignature:sig:x@alice 1").await;
    let first = owner.json("llookup:meta:x@alice").await;
    assert_eq!((first["version"].as_i64(), first["ttr"].as_i64()), (Some(0), Some(-1)));
    assert_eq!((&first["isEncrypted"], &first["isBinary"]), (&true.into(), &true.into()));
    lab.clock.advance(5);
    owner.data("update:x@alice 2").await;
    let second = owner.json("llookup:meta:x@alice").await;
    assert_eq!(second["version"], 1);
    assert_eq!(second["createdAt"], first["createdAt"]);
    assert_ne!(second["updatedAt"], first["updatedAt"]);
    assert_eq!((&second["dataSignature"], second["ttr"].as_i64()), (&"sig".into(), Some(-1)));
    assert_eq!((&second["isEncrypted"], &second["isBinary"]), (&false.into(), &false.into()));
    owner.data("update:dataSignature:null:x@alice 3").await;
    assert_eq!(owner.json("llookup:meta:x@alice").await.get("dataSignature"), None);
    let date = first["createdAt"].as_str().unwrap();
    assert!(
        protocol::Timestamp::from_wire(date).is_some_and(|at| at.to_string() == date),
        "{date}"
    );
}

#[tokio::test]
async fn s109_s110_s111_s113_s114_the_other_forms_of_update() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:meta:new@alice:ttr:86400:ccd:True").await;
    assert_eq!(owner.data("llookup:new@alice").await, "null");
    let all = owner.json("llookup:all:new@alice").await;
    assert_eq!((&all["data"], &all["metaData"]["ccd"]), (&serde_json::Value::Null, &true.into()));
    owner.data("update:@bob:x@alice v").await;
    owner.data("update:meta:@bob:x@alice:ttl:60000").await;
    assert_eq!(owner.data("llookup:@bob:x@alice").await, "v", "the value stays");
    let json = r#"update:json:{"atKey":"phone.wavi","value":"x","sharedBy":"@alice","metadata":{"isPublic":true,"isBinary":false,"isEncrypted":false,"ttl":5000}}"#;
    owner.data(json).await;
    let all = owner.ask("llookup:all:public:phone.wavi@alice").await;
    assert!(all.starts_with(r#"data:{"key":"public:phone.wavi@alice","data":"x","metaData":{"createdBy":"@alice","updatedBy":"@alice","createdAt":""#), "{all}");
    assert!(!all.contains("null"), "{all}");
    let any_order =
        "update:isEncrypted:true:ivNonce:AAAA:hash:h:ttl:9000:algo:a:ccd:True:ttr:5:y@alice v";
    owner.data(any_order).await;
    let meta = owner.json("llookup:meta:y@alice").await;
    assert_eq!((meta["ttl"].as_i64(), &meta["ccd"]), (Some(9000), &true.into()));
    assert_eq!(meta["ivNonce"], "AAAA");
}

#[tokio::test]
async fn s112_a_missing_key_is_said_to_be_missing() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let text = "error:AT0015-key not found : nope.wavi@alice does not exist in keystore\n@alice@";
    assert_eq!(owner.ask("llookup:nope.wavi@alice").await, text);
    assert!(owner.ask("llookup:privatekey:at_secret").await.starts_with("error:AT0003-"));
    assert!(owner.ask("llookup:private:x@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn s132_s133_s134_s135_scan_lists_what_its_caller_may_see() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.put_pkam_key().await;
    for key in [
        "phone.wavi@alice",
        "@bob:phone.wavi@alice",
        "public:loc@alice",
        "public:__hidden@alice",
        "public:_inner@alice",
        "_self@alice",
    ] {
        owner.data(&format!("update:{key} v")).await;
    }
    let of = |value: serde_json::Value| {
        let all = value.as_array().unwrap().iter().map(|key| key.as_str().unwrap().to_owned());
        all.filter(|key| !key.contains("signing_")).collect::<Vec<_>>()
    };
    let seen = of(owner.json("scan").await);
    assert_eq!(seen, ["@bob:phone.wavi@alice", "phone.wavi@alice", "public:loc@alice"]);
    let shown = of(owner.json("scan:showHidden:true").await);
    assert_eq!(shown.len(), 5);
    assert!(
        shown.contains(&"_self@alice".into()) && shown.contains(&"public:__hidden@alice".into())
    );
    assert_eq!(of(owner.json("scan:showHidden:true .Wavi@").await).len(), 0, "as it was written");
    assert_eq!(of(owner.json("scan .Wavi@").await).len(), 2, "without a colon in lower case");
    let mut open = lab.connect("@alice").await;
    assert_eq!(of(open.json("scan").await), ["loc@alice"]);
    assert_eq!(of(open.json("scan:showhidden:true").await), ["loc@alice"]);
}

#[tokio::test]
async fn s137_s138_scans_that_cannot_be_done_are_refused() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut open = lab.connect("@alice").await;
    let text = "error:AT0401-Exception: Scan to another atSign cannot be performed without auth\n@";
    assert_eq!(open.ask("scan:@bob").await, text);
    assert!(open.ask("scan [").await.starts_with("error:AT0003-"));
    assert_eq!(open.ask("noop:0").await, "data:ok\n@");
}

#[tokio::test]
async fn s140_s141_s142_delete_removes_all_but_what_the_identity_needs() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:x@alice v").await;
    owner.data("update:public:publickey@alice k").await;
    owner.data("delete:x@alice").await;
    assert!(owner.ask("llookup:x@alice").await.starts_with("error:AT0015-"));
    assert_eq!(owner.json("scan ^x").await, serde_json::json!([]));
    for key in [
        "public:publickey@alice",
        "public:signing_publickey@alice",
        "publickey@alice",
        "@alice:signing_privatekey@alice",
    ] {
        let text = format!(
            "error:AT0009-UnAuthorized client in request : Cannot delete protected key: '{key}'\n@alice@"
        );
        assert_eq!(owner.ask(&format!("delete:{key}")).await, text);
    }
    owner.data("delete:cached:public:publickey@bob").await;
    assert!(owner.ask("delete:x@bob").await.starts_with("error:AT0016-"));
    owner.data("update:x@alice again").await;
    assert_eq!(owner.json("llookup:meta:x@alice").await["version"], 0, "a new key");
}

#[tokio::test]
async fn s129_references_are_followed_by_lookup_and_not_by_llookup() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    for (key, value) in [
        ("public:y@alice", "public y"),
        ("@alice:y@alice", "own y"),
        ("public:x@alice", "atsign://y@alice"),
        ("@alice:x@alice", "atsign://y@alice"),
        ("public:two@alice", "atsign://x@alice"),
        ("public:circle@alice", "atsign://circle@alice"),
        ("public:broken@alice", "atsign://gone@alice"),
    ] {
        owner.data(&format!("update:{key} {value}")).await;
    }
    assert_eq!(owner.data("llookup:public:x@alice").await, "atsign://y@alice");
    assert_eq!(owner.data("lookup:x@alice").await, "own y", "statement 117");
    let mut open = lab.connect("@alice").await;
    assert_eq!(open.data("lookup:x@alice").await, "public y");
    assert_eq!(open.data("lookup:two@alice").await, "public y");
    assert_eq!(open.data("lookup:circle@alice").await, "null");
    assert!(open.ask("lookup:broken@alice").await.starts_with("error:AT0015-"));
}

#[tokio::test]
async fn s115_s116_s127_anybody_reads_public_keys_with_their_dates() {
    let lab = Lab::new().await;
    let _alice = lab.start("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:public:publickey@alice MIIB").await;
    owner.data("update:secret@alice s").await;
    owner.data("update:@bob:shared@alice s").await;
    let mut open = lab.connect("@alice").await;
    assert_eq!(open.ask("lookup:publickey@alice").await, "data:MIIB\n@");
    let all = open.json("lookup:all:publickey@alice").await;
    assert!(all["metaData"]["createdAt"].is_string() && all["metaData"]["updatedAt"].is_string());
    assert_eq!(all["key"], "public:publickey@alice");
    for private in ["secret", "shared", "at_secret", "signing_privatekey"] {
        let answer = open.ask(&format!("lookup:{private}@alice")).await;
        assert!(answer.starts_with("error:AT0015-Exception: public:"), "{answer}");
    }
    assert_eq!(owner.data("plookup:publickey@alice").await, "MIIB");
    assert_eq!(owner.json("plookup:all:publickey@alice").await["key"], "public:publickey@alice");
    assert!(owner.ask("plookup:mobile@alice@bob").await.starts_with("error:AT0003-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_owners_connections_write_one_key_and_no_version_is_lost() {
    let lab = Arc::new(Lab::new().await);
    let _alice = lab.start("@alice").await;
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let lab = Arc::clone(&lab);
            tokio::spawn(async move {
                let mut owner = lab.owner("@alice").await;
                let mut commits = Vec::new();
                for n in 0..25 {
                    let commit = owner.data(&format!("update:x@alice {n}")).await;
                    commits.push(commit.parse::<i64>().unwrap());
                }
                commits
            })
        })
        .collect();
    let mut commits = Vec::new();
    for writer in writers {
        commits.extend(writer.await.unwrap());
    }
    commits.sort_unstable();
    let count = commits.len();
    commits.dedup();
    assert_eq!(commits.len(), count, "no id is given twice");
    let mut owner = lab.owner("@alice").await;
    assert_eq!(owner.json("llookup:meta:x@alice").await["version"], 8 * 25 - 1);
}
