use serde_json::json;

use super::*;

#[expect(clippy::needless_pass_by_value, reason = "callers make it on the spot")]
fn receipt(uses: serde_json::Value) -> serde_json::Value {
    let limits: BTreeMap<&str, u64> = Policy::default().limits_by_name();
    json!({
        "limits": limits,
        "usage": {
            "wall-ns": 1_000_000, "cpu-ns": 700_000_000, "fuel": null, "memory-peak-bytes": 3 << 20,
            "table-peak-elements": 600, "input-bytes": 0, "output-bytes": 100, "stdout-bytes": 100,
            "stderr-bytes": 0, "random-bytes": 16, "http-requests": 0, "http-sent-bytes": 0,
            "http-received-bytes": 0, "http-header-bytes": 0,
        },
        "calls": {}, "denials": [], "stop": { "reason": "returned" },
        "audit": { "uses": uses, "dropped": 0 },
    })
}

fn one(kind: &str, name: &str, detail: Option<&str>, write: bool) -> serde_json::Value {
    json!({ "kind": kind, "name": name, "detail": detail, "write": write, "count": 1 })
}

fn observed(json: serde_json::Value) -> Observed {
    serde_json::from_value(json).unwrap()
}

fn under() -> Policy {
    Policy::parse(
        "args = ['-v']\nenv = { A = 'a', B = 'b' }\nconfig = { k = 'v', l = 'w' }\n\
         stdio = { stdin = true, stdout = true, stderr = true }\n\
         [[dir]]\nhost = 'data'\nguest = '/d'\naccess = 'read-write'\n\
         [[dir]]\nhost = 'out'\nguest = '/o'\naccess = 'read-write'\n\
         [[dir]]\nhost = 'never'\nguest = '/n'\naccess = 'read-write'\n\
         [[key-value]]\nbucket = 'b'\nstore = 'redis://:hush@h'\naccess = 'read-write'\nmax-keys = 7\n\
         [[http]]\nallow = 'https://*.a.example'\nallow-private = true\nca = 'a.pem'\n\
         [[secret]]\nname = 's'\nenv = 'S'\nheader = 'x-s'\nfor = ['https://*.a.example']\n\
         [tls]\nca = 'all.pem'\n",
    )
    .unwrap()
}

#[test]
fn only_what_was_used_is_granted_and_only_as_it_was_used() {
    let uses = json!([
        one("dir", "/d", Some("in"), false),
        one("dir", "/o", None, true),
        one("env", "A", None, false),
        one("config", "k", None, false),
        one("config", "absent", Some("absent"), false),
        one("key-value", "b", None, false),
        one("http", "GET https://b.a.example/v1", None, false),
        one("http", "POST https://b.a.example/v1", Some("private"), false),
        one("secret", "s", Some("GET https://b.a.example/v1"), false),
    ]);
    let got = suggest(&[observed(receipt(uses))], &under()).unwrap();
    let text = got.to_toml();
    assert_eq!(Policy::parse(&text).as_ref(), Ok(&got.policy), "{text}");
    assert!(!under().is_widened_by(&Policy { limits: Limits::default(), ..got.policy.clone() }), "{text}");
    let grants = &got.policy.grants;
    assert_eq!(
        grants.dir.iter().map(|dir| (&*dir.guest, dir.access)).collect::<Vec<_>>(),
        [("/d", DirAccess::ReadOnly), ("/o", DirAccess::ReadWrite)]
    );
    assert_eq!((grants.env.len(), grants.config.len(), grants.key_value.len()), (1, 1, 1));
    assert_eq!((grants.key_value[0].access, grants.key_value[0].quota.max_keys), (KeyValueAccess::ReadOnly, 7));
    let http: Vec<_> = grants.http.iter().map(|grant| (grant.to_string(), grant.allow_private)).collect();
    let expected = [("GET https://b.a.example/v1", false), ("POST https://b.a.example/v1", true)];
    assert_eq!(http, expected.map(|(text, private)| (text.to_owned(), private)));
    assert!(grants.http.iter().all(|grant| grant.ca.as_deref() == Some("a.pem".as_ref())));
    assert_eq!(grants.secret[0].to[0].to_string(), "GET https://b.a.example/v1");
    assert_eq!(grants.stdio, Some(StdioGrant { stdin: false, stdout: true, stderr: false }));
    assert!(text.contains("# asked for and not there: config.absent\n"), "{text}");
    assert!(text.contains("# read in `/d`: in\n"), "{text}");
}

#[test]
fn limits_have_headroom_and_are_never_above_what_the_runs_had() {
    let mut wide = receipt(json!([]));
    wide["limits"].as_object_mut().unwrap().remove("output");
    wide["limits"]["table"] = json!(700);
    wide["limits"]["handles"] = json!(5000);
    let mut roomy = under();
    roomy.limits.handles = 5000;
    let limits = suggest(&[observed(receipt(json!([]))), observed(wide)], &roomy).unwrap().policy.limits;
    let get = |kind: LimitKind| limits.get(kind).unwrap();
    assert_eq!(get(LimitKind::Memory), 8 << 20);
    assert_eq!((get(LimitKind::Wall), get(LimitKind::Cpu)), (10_000_000_000, 3_000_000_000));
    assert_eq!((get(LimitKind::Output), get(LimitKind::Random), get(LimitKind::Input)), (256, 32, 0));
    assert_eq!((get(LimitKind::Handles), get(LimitKind::HttpRequests)), (5000, 0));
    assert_eq!(limits.fuel, None);
    let mut tight = receipt(json!([]));
    tight["limits"]["table"] = json!(700);
    assert_eq!(suggest(&[observed(tight)], &under()).unwrap().policy.limits.table, 700);
}

#[test]
fn what_is_cut_off_or_not_granted_is_refused_with_everything_that_is_wrong() {
    let mut cut = receipt(json!([]));
    cut["audit"]["dropped"] = json!(3);
    let mut none = receipt(json!([]));
    none["audit"] = json!(null);
    let strange = receipt(json!([
        one("dir", "/x", None, false),
        one("env", "Z\u{1b}", None, false),
        one("key-value", "c", None, true),
        one("http", "GET https://evil.example", None, false),
        one("http", "GET nonsense", None, false),
        one("secret", "t", Some("GET https://b.a.example/v1"), false),
    ]));
    let all = [observed(cut), observed(none), observed(strange)];
    let wrong = suggest(&all, &under()).unwrap_err();
    assert_eq!(wrong.len(), 8, "{wrong:#?}");
    assert!(wrong[0].contains("no room for 3 more") && wrong[1].contains("`host run --audit`"), "{wrong:#?}");
    assert!(!wrong.concat().contains('\u{1b}'), "{wrong:#?}");
    assert!(suggest(&[], &under()).is_err());
}

#[test]
fn nothing_is_suggested_that_the_audit_was_not_granted() {
    let grants: String = (0..9).map(|n| format!("[[http]]\nallow = 'GET https://a.example/u/v/{n}'\n")).collect();
    let narrow = Policy::parse(&grants).unwrap();
    let uses = json!([one("http", "GET https://a.example/u/v", None, false)]);
    let got = suggest(&[observed(receipt(uses))], &narrow).unwrap().policy;
    assert_eq!(got.grants.http.len(), 9, "{:#?}", got.grants.http);
    let nine: Vec<_> = (0..9).map(|n| one("http", &format!("GET https://a.example/{n}"), None, false)).collect();
    let wide = Policy::parse("[[http]]\nallow = 'https://a.example'").unwrap();
    let got = suggest(&[observed(receipt(json!(nine)))], &wide).unwrap().policy;
    assert_eq!(got.grants.http[0].to_string(), "GET https://a.example");
}

#[test]
fn a_guests_words_cant_break_out_of_a_comment() {
    let mut hostile = receipt(json!([]));
    hostile["denials"] = json!([{ "capability": "http", "detail": "x\n[limits]\nmemory = 'unlimited'\r" }]);
    let got = suggest(&[observed(hostile)], &under()).unwrap();
    assert_eq!(Policy::parse(&got.to_toml()).unwrap(), got.policy);
    assert!(got.to_toml().contains("# denied in run 1"));
}
