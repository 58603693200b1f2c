//! Patterns and targets, each way around them by its name.

use proptest::prelude::*;

use super::*;

fn grant(text: &str) -> HttpGrant {
    HttpGrant::parse(text).unwrap()
}

/// Whether a pattern permits a request; a target that can't be read is permitted by nothing.
fn permits(pattern: &str, method: &str, url: &str) -> bool {
    HttpTarget::parse(method, url).is_ok_and(|target| grant(pattern).permits(&target))
}

#[test]
fn a_grant_is_for_its_methods_alone() {
    assert!(permits("GET,HEAD https://a.example", "HEAD", "https://a.example/"));
    assert!(!permits("GET,HEAD https://a.example", "POST", "https://a.example/"));
    assert!(!permits("GET https://a.example", "get", "https://a.example/"));
    assert!(permits("https://a.example", "PROPFIND", "https://a.example/"));
    for method in ["CONNECT", "TRACE", "trace", "Connect", "", "GE T", "GET\r\n"] {
        assert!(!permits("https://a.example", method, "https://a.example/"), "{method}");
    }
    assert!(HttpGrant::parse("CONNECT https://a.example").is_err());
}

#[test]
fn a_grant_is_for_its_scheme_and_port_alone() {
    assert!(permits("https://a.example", "GET", "https://a.example:443/"));
    assert!(!permits("https://a.example", "GET", "http://a.example/"));
    assert!(!permits("https://a.example", "GET", "http://a.example:443/"));
    assert!(!permits("https://a.example", "GET", "https://a.example:8443/"));
    assert!(permits("https://a.example:8443", "GET", "https://a.example:8443/"));
    assert!(!permits("https://a.example:8443", "GET", "https://a.example/"));
    for port in ["0", "65536", "-1", "+443", "0443", "", "4 43"] {
        assert!(!permits("https://a.example", "GET", &format!("https://a.example:{port}/")), "{port}");
    }
}

#[test]
fn a_host_is_compared_whole_and_without_case() {
    assert!(permits("https://Example.COM", "GET", "https://eXample.com/"));
    for host in [
        "evil-example.com",
        "example.com.evil",
        "example.com.",
        "www.example.com",
        "example.co",
        "xexample.com",
        "example.com%00.evil",
        "example.com%2eevil",
        "example.com\\.evil",
        "example.com\u{3002}evil",
        "example。com",
    ] {
        assert!(!permits("https://example.com", "GET", &format!("https://{host}/")), "{host}");
    }
}

#[test]
fn a_wildcard_is_for_names_below_and_not_for_the_name_itself() {
    let pattern = "https://*.example.com";
    assert!(permits(pattern, "GET", "https://a.example.com/"));
    assert!(permits(pattern, "GET", "https://a.b.example.com/"));
    for host in ["example.com", "evilexample.com", "evil-example.com", ".example.com", "a.example.com.evil"] {
        assert!(!permits(pattern, "GET", &format!("https://{host}/")), "{host}");
    }
    for wrong in ["https://*", "https://*.com", "https://a*.example.com", "https://*.*.com", "https://*.1.2.3.4"] {
        assert!(HttpGrant::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn user_information_never_hides_the_host() {
    for authority in ["example.com@evil.test", "example.com:443@evil.test", "user@example.com", "@example.com"] {
        assert_eq!(HttpTarget::read("GET", "https", authority, "/"), Err(InvalidHttp::UserInfo), "{authority}");
    }
}

#[test]
fn an_address_has_one_notation() {
    assert!(permits("http://127.0.0.1", "GET", "http://127.0.0.1/"));
    assert!(permits("http://[::1]", "GET", "http://[0:0::1]/"));
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "1.2.3.4.5",
        "256.0.0.1",
        "[::1%25eth0]",
        "[::1%eth0]",
        "[127.0.0.1]",
        "[::1",
        "::1",
        "[::ffff:127.0.0.1]",
    ] {
        assert!(!permits("http://127.0.0.1", "GET", &format!("http://{host}/")), "{host}");
        assert!(!permits("http://[::1]", "GET", &format!("http://{host}/")), "{host}");
    }
    assert!(HttpTarget::parse("GET", "http://a.0x7f/").is_err());
    assert!(HttpTarget::parse("GET", "http://1.a/").is_ok());
}

#[test]
fn a_path_is_matched_in_whole_segments_and_never_tidied_up() {
    let pattern = "https://a.example/v1/items/";
    for path in ["/v1/items", "/v1/items/", "/v1/items/7", "/v1/items/a.b/..c", "/v1/items?x=/../", "/v1/items/%20"] {
        assert!(permits(pattern, "GET", &format!("https://a.example{path}")), "{path}");
    }
    for path in [
        "",
        "/",
        "/v1",
        "/v1/itemsx",
        "/V1/items",
        "/v1/items/..",
        "/v1/items/../admin",
        "/v1/items/./x",
        "/v1/items/%2e%2e/admin",
        "/v1/items/.%2E/admin",
        "/v1/items/%252e%252e/admin",
        "/v1/items/..;/admin",
        "/v1/items/..;a=b/admin",
        "/v1/items/..%2fadmin",
        "/v1/items%2f..%2fadmin",
        "/v1/items/..\\admin",
        "/v1/items/..%5cadmin",
        "/v1/items//admin",
        "//v1/items",
        "/v1/items/%00",
        "/v1/items/\u{e9}",
        "/x/../v1/items",
    ] {
        assert!(!permits(pattern, "GET", &format!("https://a.example{path}")), "{path}");
    }
    assert!(permits("https://a.example", "GET", "https://a.example/group%2Fproject"));
    assert!(HttpGrant::parse("https://a.example/a/../b").is_err());
    assert!(HttpGrant::parse("https://a.example/a?b").is_err());
}

#[test]
fn a_name_does_not_grant_what_is_behind_the_firewall() {
    let reach = |pattern: &str, private: bool, address: &str| {
        HttpGrant { allow_private: private, ..grant(pattern) }.permits_address(address.parse().unwrap())
    };
    let named = "https://a.example";
    assert_eq!(reach(named, false, "8.8.8.8"), Ok(()));
    for address in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:127.0.0.1"] {
        assert!(reach(named, false, address).is_err(), "{address}");
        assert_eq!(reach(named, true, address), Ok(()), "{address}");
    }
    for address in ["169.254.169.254", "169.254.1.1", "0.0.0.0", "224.0.0.1", "fe80::1", "::", "240.0.0.1"] {
        assert!(reach(named, true, address).is_err(), "{address}");
    }
    assert_eq!(reach("http://169.254.169.254", false, "169.254.169.254"), Ok(()));
    assert!(reach("http://10.0.0.1", false, "10.0.0.2").is_err());
    assert_eq!(reach("http://localhost", false, "127.0.0.1"), Ok(()));
    assert!(reach("http://localhost", false, "10.0.0.1").is_err());
    assert!(reach("http://localhost", false, "::ffff:127.0.0.1").is_err());
    assert!(reach("http://*.example.com", false, "127.0.0.1").is_err());
}

#[test]
fn a_pattern_that_says_nothing_certain_is_refused() {
    for wrong in ["", "a.example", "ftp://a.example", "https://", "https:///x", "GET", "GET  ", "G@T https://a.example"]
    {
        assert!(HttpGrant::parse(wrong).is_err(), "{wrong}");
    }
    assert!(HttpGrant::parse("GET, HEAD  https://a.example").is_ok());
}

#[test]
fn headers_of_the_connection_are_the_hosts() {
    for name in ["host", "connection", "transfer-encoding", "te", "expect", "x-http-method-override"] {
        assert!(is_forbidden_header(name), "{name}");
    }
    assert!(!is_forbidden_header("authorization") && !is_forbidden_header("content-length"));
}

proptest! {
    #[test]
    fn no_text_breaks_the_readers(text in "\\PC{0,60}", method in "\\PC{0,8}") {
        let _ = HttpGrant::parse(&text);
        let _ = HttpTarget::read(&method, "https", &text, &text);
    }

    #[test]
    fn only_the_granted_host_and_names_below_the_wildcard_pass(host in "[a-z0-9.@:\\[\\]-]{1,20}(example\\.com)?[a-z.]{0,4}") {
        let url = format!("https://{host}/");
        if permits("https://example.com", "GET", &url) {
            prop_assert!(host == "example.com" || host == "example.com:443");
        }
        if permits("https://*.example.com", "GET", &url) {
            prop_assert!(host.trim_end_matches(":443").ends_with(".example.com"));
        }
    }

    #[test]
    fn a_path_that_passes_has_no_segment_that_climbs(path in "(/v1)?[/.;%\\\\a-f0-9]{0,24}") {
        if permits("https://a.example/v1", "GET", &format!("https://a.example{path}")) {
            prop_assert!(path.starts_with("/v1"));
            prop_assert!(!path.split(['/', ';']).any(|segment| segment == ".." || segment == "."));
        }
    }
}
