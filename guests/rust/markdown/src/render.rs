//! From the bytes of a Markdown document to HTML.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};

/// What happens to HTML, and to destinations that may run code, in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RawHtml {
    /// HTML is shown as text; destinations must be relative or have a scheme that only fetches.
    Escape,
    /// All of it is passed on: the input is trusted.
    Pass,
}

impl RawHtml {
    /// From the value of the configuration key `raw-html`. The error is for the operator.
    pub(crate) fn parse(value: Option<&str>) -> Result<Self, String> {
        match value {
            None | Some("escape") => Ok(RawHtml::Escape),
            Some("pass") => Ok(RawHtml::Pass),
            Some(other) => Err(format!("`raw-html` has the unknown value `{other}`: the values are escape, pass")),
        }
    }
}

/// The document as HTML. The error is for whoever sent the document.
pub(crate) fn render(document: &[u8], raw_html: RawHtml) -> Result<String, String> {
    let text = str::from_utf8(document)
        .map_err(|error| format!("the input is not UTF-8: the byte at offset {} is wrong", error.valid_up_to()))?;
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let events = Parser::new_ext(text, options).map(|event| match raw_html {
        RawHtml::Escape => disarm(event),
        RawHtml::Pass => event,
    });
    let mut output = String::with_capacity(text.len().saturating_mul(3) / 2);
    html::push_html(&mut output, events);
    Ok(output)
}

/// The same event, with nothing in it that a browser would run.
fn disarm(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(html) | Event::InlineHtml(html) => Event::Text(html),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: disarm_destination(dest_url), title, id })
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Image { link_type, dest_url: disarm_destination(dest_url), title, id })
        }
        other => other,
    }
}

/// The destination, or `#` where it has a scheme that is not known to be harmless.
fn disarm_destination(destination: CowStr<'_>) -> CowStr<'_> {
    if is_harmless(&destination) { destination } else { CowStr::Borrowed("#") }
}

/// Whether the destination is relative, or has a scheme that fetches something and runs nothing.
///
/// A browser ignores control characters and leading blanks when it looks for the scheme (`java\tscript:` runs), so a
/// destination with a control character is never harmless.
fn is_harmless(destination: &str) -> bool {
    let destination = destination.trim_start();
    if destination.chars().any(char::is_control) {
        return false;
    }
    let Some((scheme, _)) = destination.split_once(':') else { return true };
    // A colon after one of these belongs to the path, the query or the fragment.
    if scheme.contains(['/', '?', '#']) {
        return true;
    }
    ["http", "https", "mailto", "tel"].iter().any(|harmless| scheme.eq_ignore_ascii_case(harmless))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(document: &str) -> String {
        render(document.as_bytes(), RawHtml::Escape).unwrap()
    }

    #[test]
    fn headings_lists_and_code_become_html() {
        assert_eq!(
            escaped("# A *b*\n\n- c\n- `d`\n"),
            "<h1>A <em>b</em></h1>\n<ul>\n<li>c</li>\n<li><code>d</code></li>\n</ul>\n"
        );
    }

    #[test]
    fn tables_strikethrough_and_task_lists_are_on() {
        let html = escaped("|a|b|\n|-|:-:|\n|1|~~2~~|\n\n- [x] done\n- [ ] open\n");
        assert!(html.contains("<th style=\"text-align: center\">b</th>"), "{html}");
        assert!(html.contains("<del>2</del>"), "{html}");
        assert!(html.contains("<input disabled=\"\" type=\"checkbox\" checked=\"\"/>"), "{html}");
    }

    #[test]
    fn an_empty_document_is_empty() {
        assert_eq!(escaped(""), "");
    }

    #[test]
    fn raw_html_is_shown_as_text() {
        let html = escaped("<script>\nalert(1)\n</script>\n\na <b onclick='x'>b</b> &amp; <!-- c -->\n");
        assert!(!html.contains("<script") && !html.contains("<b ") && !html.contains("<!--"), "{html}");
        assert!(html.contains("&lt;script&gt;\nalert(1)\n&lt;/script&gt;"), "{html}");
        assert!(html.contains("a &lt;b onclick='x'&gt;b&lt;/b&gt; &amp; &lt;!-- c --&gt;"), "{html}");
    }

    #[test]
    fn raw_html_passes_where_the_operator_says_so() {
        let html = render(b"a <b>b</b> [c](javascript:d)", RawHtml::Pass).unwrap();
        assert_eq!(html, "<p>a <b>b</b> <a href=\"javascript:d\">c</a></p>\n");
    }

    #[test]
    fn destinations_that_run_code_go_nowhere() {
        for destination in [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "&#106;avascript:x",
            "java&#9;script:x",
            "&#1;javascript:x",
            "file:///etc/passwd",
        ] {
            for document in
                [format!("[a]({destination})"), format!("![a]({destination})"), format!("[a]\n\n[a]: {destination}")]
            {
                let html = escaped(&document);
                assert!(html.contains("=\"#\""), "{document}: {html}");
            }
        }
        assert!(escaped("<javascript:alert(1)>").contains("href=\"#\""));
    }

    #[test]
    fn harmless_destinations_stay() {
        for destination in [
            "https://example.com/a:b",
            "HTTP://example.com",
            "mailto:a@b.org",
            "/a",
            "a/b:c",
            "#x:y",
            "?a=b:c",
            "//host/x",
        ] {
            let html = escaped(&format!("[a]({destination})"));
            assert!(html.contains(&format!("href=\"{destination}\"")), "{html}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused_with_its_place() {
        let error = render(b"ab\xff", RawHtml::Escape).unwrap_err();
        assert_eq!(error, "the input is not UTF-8: the byte at offset 2 is wrong");
        assert_eq!(
            render(b"\xe2\x82", RawHtml::Pass).unwrap_err(),
            "the input is not UTF-8: the byte at offset 0 is wrong"
        );
    }

    #[test]
    fn the_configuration_has_two_values() {
        assert_eq!(RawHtml::parse(None), Ok(RawHtml::Escape));
        assert_eq!(RawHtml::parse(Some("escape")), Ok(RawHtml::Escape));
        assert_eq!(RawHtml::parse(Some("pass")), Ok(RawHtml::Pass));
        let error = RawHtml::parse(Some("yes")).unwrap_err();
        assert_eq!(error, "`raw-html` has the unknown value `yes`: the values are escape, pass");
    }
}
