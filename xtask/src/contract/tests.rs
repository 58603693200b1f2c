//! Every rule of the comparison, both ways: an edit of a small contract, what it is, and what taking it back is. And the
//! project's own contract, with an edit that breaks and one that doesn't.

use std::path::Path;

use super::compare::{Contract, compare};
use super::judge;
use super::rule::{Change, Effect, Reader, Rule};
use Reader::{Guest, Host, Source};
use Rule as R;

const BASE: &str = "\
package demo:shop@0.1.0;

@since(version = 0.1.0)
interface prices {
  @since(version = 0.1.0)
  enum currency { euro, dollar, yen }
  @since(version = 0.1.0)
  record price { amount: u32, currency: currency }
  @since(version = 0.1.0)
  flags options { tax, gift }
  @since(version = 0.1.0)
  variant wish { nothing, item(string), both(tuple<string, list<price>>) }
  @since(version = 0.1.0)
  record spare { left: bool }
  @since(version = 0.1.0)
  resource basket {
    @since(version = 0.1.0)
    add: func(item: string);
  }
  @since(version = 0.1.0)
  look: func(name: string) -> price;
  @since(version = 0.1.0)
  ask: func(wish: wish, options: options) -> result<u32, string>;
  @since(version = 0.1.0)
  take: func(basket: borrow<basket>) -> option<list<u8>>;
}

@since(version = 0.1.0)
interface job {
  @since(version = 0.1.0)
  variant failure { bad(string), worse }
  @since(version = 0.1.0)
  record input { body: list<u8> }
  @since(version = 0.1.0)
  run: func(input: input) -> result<string, failure>;
}

@since(version = 0.1.0)
interface later { }

@since(version = 0.1.0)
world shop {
  @since(version = 0.1.0)
  import prices;
  @since(version = 0.1.0)
  export job;
}

@since(version = 0.1.0)
world other { }
";

fn read(text: &str) -> Contract {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("all.wit"), text).unwrap();
    Contract::read(folder.path()).unwrap_or_else(|error| panic!("{error:#}\n{text}"))
}

fn changes(old: &str, new: &str) -> Vec<Change> {
    compare(&read(old), &read(new))
}

fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "there is no `{from}`");
        text.replacen(from, to, 1)
    })
}

/// What an edit is by the rules: the rule, the place, and whom it breaks. What is said about ages is left out.
fn told(old: &str, new: &str) -> Vec<(Rule, String, Vec<Reader>)> {
    let changes = changes(old, new).into_iter().filter(|change| change.rule.effect() != Effect::Mistake);
    changes.map(|change| (change.rule, change.place.replace("demo:shop/", ""), change.breaks)).collect()
}

type Told = (Rule, &'static str, &'static [Reader]);

const ALL: &[Reader] = &[Guest, Host, Source];

/// Edits with what they are, and what taking them back is.
const TABLE: &[(&str, &str, &[Told], &[Told])] = &[
    (
        "world other { }",
        "world other { }\n@since(version = 0.1.0)\nworld third { }",
        &[(R::WorldAdded, "world third", &[])],
        &[(R::WorldRemoved, "world third", &[Guest, Source])],
    ),
    (
        "world other { }",
        "world other { @since(version = 0.1.0) import later; }",
        &[(R::ImportAdded, "world other import later@0.1.0", &[])],
        &[(R::ImportRemoved, "world other import later@0.1.0", &[Guest, Source])],
    ),
    (
        "world other { }",
        "world other { @since(version = 0.1.0) export later; }",
        &[(R::ExportAdded, "world other export later@0.1.0", &[Guest, Source])],
        &[(R::ExportRemoved, "world other export later@0.1.0", &[Host])],
    ),
    (
        "interface later { }",
        "interface later { }\n@since(version = 0.1.0)\ninterface more { }",
        &[(R::InterfaceAdded, "more", &[])],
        &[(R::InterfaceRemoved, "more", &[Guest, Source])],
    ),
    (
        "  look: func",
        "  more: func();\n  @since(version = 0.1.0)\n  look: func",
        &[(R::FunctionAdded, "prices#more", &[])],
        &[(R::FunctionRemoved, "prices#more", &[Guest, Source])],
    ),
    (
        "  run: func",
        "  more: func();\n  @since(version = 0.1.0)\n  run: func",
        &[(R::RequiredFunctionAdded, "job#more", &[Guest, Source])],
        &[(R::FunctionRemoved, "job#more", &[Host, Source])],
    ),
    (
        "  look: func",
        "  find: func",
        &[(R::FunctionRenamed, "prices#look", &[Guest, Source])],
        &[(R::FunctionRenamed, "prices#find", &[Guest, Source])],
    ),
    (
        "    add: func",
        "    put: func",
        &[(R::FunctionRenamed, "prices#[method]basket.add", &[Guest, Source])],
        &[(R::FunctionRenamed, "prices#[method]basket.put", &[Guest, Source])],
    ),
    (
        "name: string)",
        "name: string, currency: currency)",
        &[(R::ParamsChanged, "prices#look", ALL)],
        &[(R::ParamsChanged, "prices#look", ALL)],
    ),
    (
        "(wish: wish, options: options)",
        "(options: options, wish: wish)",
        &[(R::ParamsChanged, "prices#ask", ALL)],
        &[(R::ParamsChanged, "prices#ask", ALL)],
    ),
    (
        "add: func(item: string);",
        "add: func(item: string) -> bool;",
        &[(R::ResultChanged, "prices#[method]basket.add", ALL)],
        &[(R::ResultChanged, "prices#[method]basket.add", ALL)],
    ),
    (
        "  look: func",
        "  look: async func",
        &[(R::AsyncChanged, "prices#look", ALL)],
        &[(R::AsyncChanged, "prices#look", ALL)],
    ),
    (
        "name: string)",
        "name: list<char>)",
        &[(R::TypeChanged, "prices#look(name)", ALL)],
        &[(R::TypeChanged, "prices#look(name)", ALL)],
    ),
    (
        "option<list<u8>>",
        "option<list<u16>>",
        &[(R::TypeChanged, "prices#take -> result.some[]", ALL)],
        &[(R::TypeChanged, "prices#take -> result.some[]", ALL)],
    ),
    (
        "both(tuple<string, list<price>>)",
        "both(tuple<string, list<currency>>)",
        &[(R::TypeChanged, "prices#wish.both.1[]", ALL)],
        &[(R::TypeChanged, "prices#wish.both.1[]", ALL)],
    ),
    (
        "amount: u32",
        "amount: u64",
        &[(R::TypeChanged, "prices#price.amount", ALL)],
        &[(R::TypeChanged, "prices#price.amount", ALL)],
    ),
    (
        "result<u32, string>",
        "result<_, string>",
        &[(R::TypeChanged, "prices#ask -> result.ok", ALL)],
        &[(R::TypeChanged, "prices#ask -> result.ok", ALL)],
    ),
    (
        "borrow<basket>",
        "basket",
        &[(R::OwnershipChanged, "prices#take(basket)", ALL)],
        &[(R::OwnershipChanged, "prices#take(basket)", ALL)],
    ),
    (
        "currency: currency }",
        "currency: currency, since: u8 }",
        &[(R::FieldAdded, "prices#price.since", ALL)],
        &[(R::FieldRemoved, "prices#price.since", ALL)],
    ),
    (
        "amount: u32, currency: currency",
        "currency: currency, amount: u32",
        &[(R::FieldsReordered, "prices#price", ALL)],
        &[(R::FieldsReordered, "prices#price", ALL)],
    ),
    (
        "left: bool",
        "left: bool, right: bool",
        &[(R::FieldAdded, "prices#spare.right", &[Source])],
        &[(R::FieldRemoved, "prices#spare.right", &[Source])],
    ),
    (
        "worse }",
        "worse, worst }",
        &[(R::CaseAdded, "job#failure.worst", ALL)],
        &[(R::CaseRemoved, "job#failure.worst", ALL)],
    ),
    (
        "euro, dollar, yen",
        "dollar, euro, yen",
        &[(R::CasesReordered, "prices#currency", ALL)],
        &[(R::CasesReordered, "prices#currency", ALL)],
    ),
    (
        "nothing, item(string)",
        "nothing(u8), item(string)",
        &[(R::TypeChanged, "prices#wish.nothing", ALL)],
        &[(R::TypeChanged, "prices#wish.nothing", ALL)],
    ),
    (
        "tax, gift",
        "tax, gift, fast",
        &[(R::FlagAdded, "prices#options.fast", ALL)],
        &[(R::FlagRemoved, "prices#options.fast", ALL)],
    ),
    (
        "tax, gift",
        "gift, tax",
        &[(R::FlagsReordered, "prices#options", ALL)],
        &[(R::FlagsReordered, "prices#options", ALL)],
    ),
    (
        "record spare { left: bool }",
        "record spare { left: bool }\n  @since(version = 0.1.0)\n  type pence = u32;",
        &[(R::TypeAdded, "prices#pence", &[])],
        &[(R::TypeRemoved, "prices#pence", &[Source])],
    ),
    (
        "record spare { left: bool }",
        "record spare { left: bool }\n  @since(version = 0.1.0)\n  resource till;",
        &[(R::ResourceAdded, "prices#till", &[])],
        &[(R::ResourceRemoved, "prices#till", &[Guest, Source])],
    ),
];

#[test]
fn every_rule_finds_its_change_and_the_change_that_takes_it_back() {
    let mut seen = std::collections::BTreeSet::new();
    for (from, to, there, back) in TABLE {
        let new = edited(BASE, &[(from, to)]);
        for (told, expected) in [(told(BASE, &new), there), (told(&new, BASE), back)] {
            let expected: Vec<_> =
                expected.iter().map(|(rule, place, who)| (*rule, (*place).to_owned(), who.to_vec())).collect();
            assert_eq!(told, expected, "{from} -> {to}");
            seen.extend(told.iter().map(|(rule, ..)| *rule));
        }
    }
    let elsewhere = [R::ForeignVersionBroken, R::ForeignVersionChanged];
    let left: Vec<_> = Rule::ALL
        .iter()
        .filter(|rule| rule.effect() != Effect::Mistake && !seen.contains(rule) && !elsewhere.contains(rule))
        .collect();
    assert!(left.is_empty(), "no edit shows {left:?}");
}

#[test]
fn nothing_changed_is_nothing_found_and_comments_are_no_change() {
    assert_eq!(changes(BASE, BASE), []);
    assert_eq!(changes(BASE, &edited(BASE, &[("  look: func", "  /// Look it up.\n  look: func")])), []);
}

#[test]
fn a_new_case_says_who_would_get_what_they_do_not_know() {
    let message = |from: &str, to: &str| changes(BASE, &edited(BASE, &[(from, to)])).remove(0).message;
    assert!(message("worse }", "worse, worst }").contains("hand it to hosts that don't know the case"));
    assert!(message("euro, dollar, yen", "euro, dollar, yen, won").contains("goes both ways"));
    assert!(message("tax, gift", "tax, gift, fast").contains("hand it to hosts that don't know the flag"));
    let only_to_guests = edited(BASE, &[(", both(tuple<string, list<price>>)", "")]);
    let new = edited(&only_to_guests, &[("yen }", "yen, won }")]);
    assert!(changes(&only_to_guests, &new)[0].message.contains("the host would hand it to guests"));
}

/// A type that moves to another interface is the same for what was built, and another one for sources.
#[test]
fn a_type_that_is_used_from_elsewhere_is_compared_by_its_structure() {
    let moved = edited(
        BASE,
        &[
            (
                "interface later { }",
                "interface later {\n  @since(version = 0.1.0)\n  enum currency { euro, dollar, yen }\n}",
            ),
            ("  enum currency { euro, dollar, yen }", "  use later.{currency};"),
        ],
    );
    let found = told(BASE, &moved);
    assert!(found.iter().all(|(rule, ..)| matches!(rule, R::TypeAdded | R::ImportAdded)), "{found:?}");
    let changed = edited(&moved, &[("enum currency { euro, dollar, yen }", "enum currency { euro, dollar }")]);
    assert!(told(BASE, &changed).iter().any(|(rule, ..)| *rule == R::CaseRemoved));
}

/// The mistakes in an edit, with the version that the package then has.
fn mistakes(version: &str, edits: &[(&str, &str)]) -> Vec<(Rule, String)> {
    let new = edited(BASE, edits).replace("demo:shop@0.1.0", &format!("demo:shop@{version}"));
    let mistakes = changes(BASE, &new).into_iter().filter(|change| change.rule.effect() == Effect::Mistake);
    mistakes.map(|change| (change.rule, change.place.replace("demo:shop/", ""))).collect()
}

#[test]
fn whatever_is_new_says_since_when() {
    let with = |since: &str| format!("  {since}\n  more: func();\n  @since(version = 0.1.0)\n  look: func");
    let added = |since: &str| mistakes("0.1.1", &[("  @since(version = 0.1.0)\n  look: func", &with(since))]);
    assert_eq!(added("@since(version = 0.1.1)"), []);
    assert_eq!(added(""), [(R::SinceMissing, "prices#more".to_owned())]);
    assert_eq!(added("@since(version = 0.1.0)"), [(R::SinceWrong, "prices#more".to_owned())]);
}

#[test]
fn what_was_released_keeps_its_age() {
    let old = "@since(version = 0.1.0)\n  look: func";
    assert_eq!(
        mistakes("0.1.1", &[(old, "@since(version = 0.1.1)\n  look: func")]),
        [(R::SinceChanged, "prices#look".to_owned())]
    );
    assert_eq!(mistakes("0.1.1", &[(old, "look: func")]), [(R::SinceChanged, "prices#look".to_owned())]);
    assert_eq!(mistakes("0.1.1", &[]), []);
}

#[test]
fn the_version_must_be_raised_by_as_much_as_the_change_is_worth() {
    let additive = [("  look: func", "  more: func();\n  @since(version = 0.1.0)\n  look: func")];
    let breaking = [("amount: u32", "amount: u64")];
    let due = |version: &str, edits: &[(&str, &str)]| {
        mistakes(version, edits).iter().any(|(rule, _)| *rule == R::VersionNotRaised)
    };
    assert_eq!([due("0.1.0", &[]), due("0.1.1", &[])], [false, false]);
    assert_eq!([due("0.1.0", &additive), due("0.1.1", &additive)], [true, false]);
    assert_eq!([due("0.1.1", &breaking), due("0.2.0", &breaking)], [true, false]);
}

/// What breaks may be done in a version that doesn't promise to be compatible, and is listed all the same.
#[test]
fn a_breaking_change_is_an_error_unless_the_version_says_so() {
    let breaking = edited(BASE, &[("amount: u32", "amount: u64")]);
    let (text, good) = judge(&read(BASE), &read(&breaking.replace("demo:shop@0.1.0", "demo:shop@0.1.1")));
    assert!(!good && text.contains("error: type-changed: demo:shop/prices#price.amount"), "{text}");
    assert!(text.contains("breaks  guests that were built against it"), "{text}");
    assert!(text.contains("fix     leave the type as it was"), "{text}");
    assert!(text.contains("must be 0.2.0"), "{text}");
    let (text, good) = judge(&read(BASE), &read(&breaking.replace("demo:shop@0.1.0", "demo:shop@0.2.0")));
    assert!(good && text.contains("breaking, as the version says: type-changed"), "{text}");
}

/// The whole of `wit/` with edits in one file, compared with `wit/` as it is.
fn ours(file: &str, edits: &[(&str, &str)]) -> (String, bool) {
    let root = crate::repo::root().unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy(&root.join("wit"), folder.path());
    let path = folder.path().join(file);
    std::fs::write(&path, edited(&std::fs::read_to_string(&path).unwrap(), edits)).unwrap();
    judge(&Contract::read(&root.join("wit")).unwrap(), &Contract::read(folder.path()).unwrap())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &to) } else { std::fs::copy(&path, &to).map(drop).unwrap() }
    }
}

#[test]
fn our_own_contract_with_a_case_more_is_refused_with_rule_reader_and_fix() {
    let (text, good) = ours("job.wit", &[("    other(string),", "    other(string),\n    /// New.\n    busy,")]);
    assert!(!good, "{text}");
    for part in [
        "error: case-added: sandbox:host/job#failure.busy",
        "breaks  guests that were built against it; hosts of that version; sources of guests",
        "fix     leave the type as it was, and add one with another name",
        "or      make it version 0.2.0",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn an_interface_of_another_package_may_be_at_another_version_that_is_compatible() {
    let at = |version: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("deps/e")).unwrap();
        let world = format!("package demo:shop@0.1.0;\nworld w {{ import ext:e/i@{version}; }}\n");
        std::fs::write(folder.path().join("w.wit"), world).unwrap();
        let package = format!("package ext:e@{version};\ninterface i {{ f: func(); }}\n");
        std::fs::write(folder.path().join("deps/e/e.wit"), package).unwrap();
        Contract::read(folder.path()).unwrap()
    };
    let rules = |old: &str, new: &str| -> Vec<Rule> {
        let changes = compare(&at(old), &at(new)).into_iter().map(|change| change.rule);
        changes.filter(|rule| rule.effect() != Effect::Mistake).collect()
    };
    assert_eq!(rules("1.2.0", "1.2.0"), []);
    assert_eq!(rules("1.2.0", "1.3.0"), [R::ForeignVersionChanged]);
    assert_eq!(rules("1.3.0", "1.2.0"), [R::ForeignVersionChanged]);
    assert_eq!(rules("1.2.0", "2.0.0"), [R::ForeignVersionBroken]);
    assert_eq!(rules("0.2.0-rc.1", "0.2.0-rc.2"), [R::ForeignVersionBroken]);
}

/// Mends the versions that stand in other files, as somebody who adds something has to.
#[test]
fn our_own_contract_with_a_function_more_stays_green() {
    let more = "  /// New.\n  @since(version = 0.1.1)\n  more: func() -> u64;\n\n  /// Ask what is left now.";
    let root = crate::repo::root().unwrap();
    let folder = tempfile::tempdir().unwrap();
    copy(&root.join("wit"), folder.path());
    for (file, from, to) in [
        ("budget.wit", "  /// Ask what is left now.", more),
        ("world.wit", "package sandbox:host@0.1.0;", "package sandbox:host@0.1.1;"),
    ] {
        let path = folder.path().join(file);
        std::fs::write(&path, edited(&std::fs::read_to_string(&path).unwrap(), &[(from, to)])).unwrap();
    }
    let old = Contract::read(&root.join("wit")).unwrap();
    let (text, good) = judge(&old, &Contract::read(folder.path()).unwrap());
    assert!(good && text.contains("additive: function-added: sandbox:host/budget#more"), "{text}");
}
