//! Every limit at N, which passes, and at N+1, which stops.

use crate::support::{Run, guest, probe, run_probe};

const PAGE: u64 = 65_536;

/// What the probe `allocate` holds before it grows anything.
fn allocate_base() -> u64 {
    let base = run_probe("allocate").args(&["0"]);
    base.ended("returned", 0).number("/usage/memory-peak-bytes")
}

/// The largest number below `high` for which something is still so, where it is so for 0 and not for `high`.
fn most_that(high: u64, is_so: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, high);
    assert!(is_so(low) && !is_so(high));
    while high - low > 1 {
        let middle = (low + high) / 2;
        if is_so(middle) { low = middle } else { high = middle }
    }
    low
}

#[test]
fn memory_grows_to_the_limit_and_not_by_a_page_more() {
    let limit = allocate_base() + 10 * PAGE;
    let run = |pages: &str, then: &[&str]| {
        run_probe("allocate").flag("--memory", limit.to_string()).args(&[&[pages], then].concat())
    };
    let fits = run("10", &["then-trap"]);
    fits.ended("returned", 0);
    assert_eq!(fits.number("/usage/memory-peak-bytes"), limit);
    // A growth that is refused is the guest's to handle …
    let refused = run("11", &[]);
    refused.ended("returned", 0);
    assert_eq!(refused.text(), "-1\n");
    // … and a trap that follows is the limit's.
    let stopped = run("11", &["then-trap"]);
    stopped.hit("memory", 137, limit);
    assert_eq!(stopped.number("/stop/limit/requested"), 11 * PAGE);
    assert_eq!(stopped.number("/stop/limit/used"), limit - 10 * PAGE);
}

#[test]
fn memory_that_is_declared_counts_before_the_first_instruction() {
    let declared = 3 << 30;
    let run = |limit: u64| Run::new(probe("huge-initial-memory")).flag("--memory", limit.to_string()).go();
    run(declared).ended("returned", 0);
    run(declared - 1).hit("memory", 137, declared - 1);
}

#[test]
fn tables_count_by_element_and_as_memory() {
    let run = |flag: &str, limit: &str, call: &str| {
        Run::new(probe("grow-table")).flag(flag, limit).flag("--invoke", call).go()
    };
    assert_eq!(run("--table", "1000", "grow-or-trap(1000)").ended("returned", 0).text(), "0\n");
    assert_eq!(run("--table", "1000", "grow(1001)").ended("returned", 0).text(), "-1\n");
    run("--table", "1000", "grow-or-trap(1001)").hit("table", 137, 1000);
    run("--memory", "8000", "grow-or-trap(1000)").ended("returned", 0);
    run("--memory", "8000", "grow-or-trap(1001)").hit("memory", 137, 8000);
}

#[test]
fn instances_are_counted_however_deep_they_hide() {
    let run = |limit: &str| Run::new(probe("many-instances")).flag("--instances", limit).go();
    run("1001").ended("returned", 0);
    run("1000").hit("instances", 137, 1000);
}

#[test]
fn the_stack_ends_where_the_limit_says() {
    let run = |limit: &str, depth: u64| {
        Run::new(probe("deep-stack")).flag("--stack", limit).flag("--invoke", format!("descend({depth})")).go()
    };
    // Frames have no size that a guest could count on, so the depth that still fits is searched for.
    let fits = |depth: u64| match run("256KiB", depth).reason() {
        "returned" => true,
        "limit.stack" => false,
        other => panic!("{other}"),
    };
    let most = most_that(100_000, fits);
    run("256KiB", most).ended("returned", 0);
    run("256KiB", most + 1).hit("stack", 137, 256 << 10);
    run("512KiB", most + 1).ended("returned", 0);
    run_probe("recurse").go().hit("stack", 137, 512 << 10);
}

#[test]
fn the_wall_limit_covers_computing_parked_calls_and_instantiation() {
    let ms = 1_000_000;
    let run = |name: &str, wall: &str| run_probe(name).flag("--wall", wall).go();
    run("spin", "200ms").hit("wall", 124, 200 * ms);
    run("sleep-forever", "200ms").hit("wall", 124, 200 * ms);
    run("start-function-spins", "200ms").hit("wall", 124, 200 * ms);
    run("memory-copy-spin", "200ms").hit("wall", 124, 200 * ms);
    let parked = run("sleep-forever", "200ms");
    assert!(parked.number("/usage/cpu-ns") < 200 * ms, "waiting is not computing");
    assert!(parked.number("/usage/wall-ns") >= 200 * ms);
}

#[test]
fn the_cpu_limit_stops_computing_and_not_waiting() {
    let ms = 1_000_000;
    let spun = run_probe("spin").flag("--cpu", "100ms").go();
    spun.hit("cpu", 152, 100 * ms);
    assert!(spun.number("/usage/cpu-ns") >= 100 * ms);
    run_probe("start-function-spins").flag("--cpu", "100ms").go().hit("cpu", 152, 100 * ms);
    run_probe("sleep-forever").flag("--cpu", "1ms").flag("--wall", "300ms").go().ended("limit.wall", 124);
}

#[test]
fn the_last_unit_of_fuel_is_spent_and_none_after_it() {
    let free = run_probe("fuel").flag("--fuel", "1000000000").args(&["100000"]);
    let needed = free.ended("returned", 0).number("/usage/fuel");
    assert!(needed > 100_000);
    let run = |fuel: u64| run_probe("fuel").flag("--fuel", fuel.to_string()).args(&["100000"]);
    assert_eq!(run(needed).ended("returned", 0).number("/usage/fuel"), needed);
    run(needed - 1).hit("fuel", 152, needed - 1);
    let unmetered = run_probe("fuel").args(&["100000"]);
    assert!(unmetered.ended("returned", 0).at("/usage/fuel").is_null());
    assert_eq!(unmetered.stdout, free.stdout);
}

#[test]
fn output_is_written_to_the_last_byte_that_fits() {
    for (name, field) in [("flood-stdout", "stdout"), ("flood-stderr", "stderr")] {
        let run = |bytes: &str| run_probe(name).flag("--output", "100000B").args(&[bytes]);
        let fits = run("100000");
        fits.ended("returned", 0);
        assert_eq!(fits.number(&format!("/usage/{field}-bytes")), 100_000);
        let over = run("100001");
        over.hit("output", 153, 100_000);
        assert_eq!(over.number("/usage/output-bytes"), 100_000);
    }
    let endless = run_probe("flood-stdout").flag("--output", "1MiB").go();
    endless.hit("output", 153, 1 << 20);
    assert_eq!(endless.stdout.len(), 1 << 20);
    run_probe("flood-stderr").flag("--output", "64KiB").go().hit("output", 153, 64 << 10);
}

#[test]
fn log_messages_and_the_jobs_body_are_output_too() {
    // Five messages, and for each 64 bytes for what the host writes around it; then the output's content type.
    let log = |bytes: &str| run_probe("log-flood").flag("--output", "5330").args(&[format!("bytes={bytes}")]);
    assert_eq!(log("5000").ended("returned", 0).number("/usage/log-bytes"), 5320);
    log("5001").hit("output", 153, 5330);
    let empty = |bytes: &str| run_probe("log-flood").flag("--output", "1000").args(&[bytes, "message=1"]);
    assert_eq!(empty("bytes=15").ended("returned", 0).number("/usage/log-bytes"), 15 * 65);
    empty("bytes=16").hit("output", 153, 1000);
    run_probe("log-flood").flag("--output", "5000").go().hit("output", 153, 5000);
    let body = |bytes: &str| run_probe("job-output").flag("--output", "5000").args(&[format!("bytes={bytes}")]);
    let fits = body("5000");
    fits.ended("returned", 0);
    assert_eq!((fits.stdout.len(), fits.number("/usage/body-bytes")), (5000, 5000));
    let over = body("5001");
    over.hit("output", 153, 5000);
    assert!(over.stdout.is_empty());
}

#[test]
fn input_is_taken_to_the_last_byte_that_fits() {
    let run = |bytes: usize| run_probe("job-echo").flag("--input", "5000").stdin(vec![b'x'; bytes]).go();
    assert_eq!(run(5000).ended("returned", 0).number("/usage/input-bytes"), 5000);
    run(5001).hit("input", 153, 5000);
}

#[test]
fn input_that_the_host_holds_counts_as_memory() {
    let base = run_probe("job-echo").stdin("").go();
    let base = base.ended("returned", 0).number("/usage/memory-peak-bytes");
    let body = vec![b'x'; 1 << 20];
    let more = run_probe("job-echo").stdin(&body).go();
    assert!(more.ended("returned", 0).number("/usage/memory-peak-bytes") >= base + (2 << 20));
    run_probe("job-echo").flag("--memory", "1MiB").flag("--input", "1MiB").stdin(&body).go().ended("limit.memory", 137);
}

#[test]
fn one_host_call_copies_no_more_than_its_limit() {
    let run = |bytes: &str| run_probe("huge-string").flag("--hostcall", "100000").args(&[bytes]);
    run("100000").ended("returned", 0);
    run("100001").hit("hostcall", 153, 100_000);
    run_probe("huge-string").args(&[(32 << 20).to_string()]).hit("hostcall", 153, 17 << 20);
}

#[test]
fn handles_are_counted_while_they_are_open() {
    // What a program opens before it opens anything by itself.
    let fits = |limit: u64, count: u64| {
        let run = run_probe("leak-handles")
            .flag("--handles", limit.to_string())
            .flag("--timers", "1000")
            .args(&[count.to_string()]);
        match run.reason() {
            "returned" => true,
            _ => {
                run.hit("handles", 153, limit);
                false
            }
        }
    };
    let most = most_that(100, |count| fits(100, count));
    // A pollable is two entries in the host's table: itself and what it waits for.
    assert!((40..=50).contains(&most), "{most}");
    assert!(fits(100, most) && !fits(100, most + 1));
    assert!(fits(102, most + 1));
    run_probe("leak-handles").flag("--timers", "100000").go().hit("handles", 153, 1024);
}

/// Handles to a resource of the guest's own, which the host's table knows nothing of.
#[test]
fn handles_to_the_guests_own_resources_count_too() {
    let component = "(component
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core module $m
          (import \"r\" \"new\" (func $new (param i32) (result i32)))
          (func (export \"leak\") (param $left i32)
            (loop $next
              (if (local.get $left) (then
                (drop (call $new (i32.const 0)))
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br $next))))))
        (core instance $i (instantiate $m (with \"r\" (instance (export \"new\" (func $new))))))
        (func $leak (param \"count\" u32) (canon lift (core func $i \"leak\")))
        (instance $own (export \"leak\" (func $leak)))
        (export \"probe:own/resource\" (instance $own)))";
    let run = |count: u32| {
        Run::new("-").flag("--handles", "100").flag("--invoke", format!("leak({count})")).stdin(component).go()
    };
    run(100).ended("returned", 0);
    run(101).hit("handles", 153, 100);
}

#[test]
fn random_bytes_are_counted_before_they_are_made() {
    let base = run_probe("random").args(&["0"]);
    let base = base.ended("returned", 0).number("/usage/random-bytes");
    let run = |bytes: u64| run_probe("random").flag("--random", (base + 5000).to_string()).args(&[bytes.to_string()]);
    assert_eq!(run(5000).ended("returned", 0).text(), "5000\n");
    run(5001).hit("random", 153, base + 5000);
    run_probe("random").args(&["4000000000"]).hit("random", 153, 1 << 20);
}

#[test]
fn a_component_larger_than_its_limit_is_refused_unread() {
    let path = guest("rust/redact.wasm");
    let size = std::fs::metadata(&path).unwrap().len();
    let run = |limit: u64| Run::new(&path).flag("--component-size", limit.to_string()).go();
    run(size).ended("returned", 0);
    run(size - 1).hit("component-size", 126, size - 1);
}

#[test]
fn files_are_counted_while_they_are_open() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a"), "x").unwrap();
    let run = |limit: &str, args: &[&str]| {
        let dir = format!("{}::/d", folder.path().display());
        run_probe("open-files").flag("--files", limit).flag("--dir", dir).args(args)
    };
    // The directory that is granted is open too.
    run("10", &["/d/a", "9"]).ended("returned", 0);
    run("10", &["/d/a", "10"]).hit("files", 153, 10);
    // A listing is the directory and its stream.
    assert_eq!(run("3", &["/d", "list"]).ended("returned", 0).text(), "1\n");
    run("2", &["/d", "list"]).hit("files", 153, 2);
    run("0", &["/d", "list"]).hit("files", 153, 0);
}

#[test]
fn the_listing_of_a_directory_is_held_in_the_invocations_memory() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..2000 {
        std::fs::write(folder.path().join(format!("{n:0200}")), "").unwrap();
    }
    let run = |limit: u64| {
        let dir = format!("{}::/d", folder.path().display());
        run_probe("open-files").flag("--memory", limit.to_string()).flag("--dir", dir).args(&["/d", "list"])
    };
    let held = run(64 << 20);
    assert_eq!(held.ended("returned", 0).text(), "2000\n");
    let peak = held.number("/usage/memory-peak-bytes");
    assert!(peak > 2000 * 264, "{peak}");
    assert_eq!(run(peak).ended("returned", 0).text(), "2000\n");
    run(peak - 1).ended("limit.memory", 137);
}

#[test]
fn timers_are_counted_while_they_are_set() {
    let run = |limit: &str, count: &str| run_probe("leak-handles").flag("--timers", limit).args(&[count]);
    run("20", "20").ended("returned", 0);
    run("20", "21").hit("timers", 153, 20);
    run("0", "1").hit("timers", 153, 0);
}

#[test]
fn output_that_is_too_fast_waits_and_nothing_is_lost() {
    // The first second has room for all of it, or there are two seconds to wait.
    let run = |rate: &str| run_probe("flood-stdout").flag("--output-rate", rate).args(&["30000"]);
    assert_eq!(run("1MiB").ended("returned", 0).stdout.len(), 30_000);
    let slow = run("10000");
    assert_eq!(slow.ended("returned", 0).stdout.len(), 30_000);
    assert!(slow.number("/usage/wall-ns") > 1_000_000_000, "three seconds' worth can't fit into one");
    let stopped = run_probe("flood-stdout").flag("--output-rate", "10000").flag("--wall", "1500ms").go();
    stopped.ended("limit.wall", 124);
    assert!(stopped.stdout.len() <= 30_000, "{}", stopped.stdout.len());
    let logged = run_probe("log-flood").flag("--output-rate", "100").flag("--wall", "1500ms").args(&["bytes=5000"]);
    logged.ended("limit.wall", 124);
}

#[test]
fn every_limit_but_the_stack_can_be_switched_off() {
    let limit = (1 << 20) + 1;
    // One step further than the default goes, where that is quickly done.
    let random = run_probe("random").flag("--random", "unlimited").args(&[limit.to_string()]);
    random.ended("returned", 0);
    assert!(random.at("/limits").get("random").is_none());
    run_probe("random").flag("--random", "unlimited").args(&["4000000000"]).ended("limit.memory", 137);
    let off = [
        ("--memory", "allocate", "2100"),
        ("--output", "flood-stdout", "16777217"),
        ("--handles", "leak-handles", "2000"),
        ("--fuel", "fuel", "1000"),
        ("--wall", "fuel", "1000"),
        ("--cpu", "fuel", "1000"),
        ("--component-size", "fuel", "1000"),
        ("--input", "fuel", "1000"),
        ("--hostcall", "fuel", "1000"),
    ];
    for (flag, probe, argument) in off {
        let ran = run_probe(probe).flag(flag, "unlimited").flag("--timers", "unlimited").args(&[argument]);
        ran.ended("returned", 0);
        assert!(ran.at("/limits").get(flag.trim_start_matches('-')).is_none(), "{flag}");
        assert!(ran.at("/limits").get("timers").is_none());
    }
    let grow = |elements: u32| {
        let call = format!("grow-or-trap({elements})");
        Run::new(probe("grow-table")).flag("--table", "unlimited").flag("--invoke", call).go()
    };
    grow(100_001).ended("returned", 0);
    Run::new(probe("many-instances")).flag("--instances", "unlimited").go().ended("returned", 0);
    let stack = Run::new(probe("deep-stack")).flag("--stack", "unlimited").flag("--invoke", "descend(1)").go();
    assert_eq!(stack.status, 2);
    assert!(stack.stderr.contains("`stack` can't be unlimited"), "{}", stack.stderr);
}
