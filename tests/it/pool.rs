//! A pool of places: what one instance leaves behind is gone for the next, and what doesn't fit is refused with the
//! figure.

use host::{ChildCompiler, Host, Invocation, Outcome, Policy, Pool, Tenant, Value};

/// Fills all of its memory and its table, or counts what is there.
const FILLER: &str = r#"(component
  (core module $m
    (memory 4)
    (table $t 64 funcref)
    (elem declare func $fill)
    (func $fill (export "fill") (result i32)
      (drop (memory.grow (i32.const 28)))
      (memory.fill (i32.const 0) (i32.const 0xaa) (i32.mul (memory.size) (i32.const 65536)))
      (table.fill $t (i32.const 0) (ref.func $fill) (i32.const 64))
      (memory.size))
    (func (export "found") (result i32) (local $at i32) (local $sum i32)
      (drop (memory.grow (i32.const 28)))
      (loop $next
        (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.mul (memory.size) (i32.const 65536)))))
      (loop $entry
        (if (i32.eqz (ref.is_null (table.get $t (i32.rem_u (local.get $at) (i32.const 64)))))
          (then (local.set $sum (i32.add (local.get $sum) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $entry (i32.rem_u (local.get $at) (i32.const 64))))
      (local.get $sum)))
  (core instance $i (instantiate $m))
  (func (export "fill") (result u32) (canon lift (core func $i "fill")))
  (func (export "found") (result u32) (canon lift (core func $i "found"))))"#;

fn tenant(name: &str) -> Tenant {
    Tenant::new(name, Policy::default()).unwrap()
}

async fn call(host: &Host, component: &host::Component, who: &str, function: &str) -> String {
    let invocation = Invocation::function(component, &tenant(who), function).unwrap();
    match host.invoke(invocation).await.outcome {
        Outcome::Returned(value @ Value::Function(_)) => value.to_wave().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_place_is_empty_for_whoever_comes_next() {
    // One place, so that it is certain who had it before.
    let host: Host = Host::builder().pool(Pool::new(1)).build().unwrap();
    let component = host.load(FILLER.into(), &Policy::default()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(call(&host, &component, "one", "fill()").await, "32");
        assert_eq!(call(&host, &component, "other", "found()").await, "0");
    }
}

#[tokio::test]
async fn more_than_there_are_places_for_wait_and_none_is_lost() {
    let host: Host = Host::builder().pool(Pool::new(2)).build().unwrap();
    let component = host.load(FILLER.into(), &Policy::default()).await.unwrap();
    let calls: Vec<_> =
        (0..16).map(|n| call(&host, &component, if n % 2 == 0 { "one" } else { "other" }, "found()")).collect();
    for found in futures(calls).await {
        assert_eq!(found, "0");
    }
    host.idle().await;
    assert_eq!(host.in_use().in_flight, 0);
}

/// Waits for all at once.
async fn futures<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in futures.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(value) = future.as_mut().poll(context) {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_component_that_has_no_place_is_refused_with_the_figure() {
    let host: Host = Host::builder().pool(Pool::new(1).memory(1 << 20)).build().unwrap();
    let with = |memory: u32, table: u32| {
        let text = format!(
            "(component (core module $m (memory {memory}) (table {table} funcref) (func (export \"f\")))
               (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))"
        );
        let host = &host;
        async move { host.load(text.into_bytes(), &Policy::default()).await }
    };
    assert!(with(16, 20_000).await.is_ok());
    for (memory, table, said) in [(17, 1, "1114112"), (1, 20_001, "20001")] {
        let stop = with(memory, table).await.err().unwrap();
        assert_eq!(stop.reason.code(), "refused.too-large");
        assert!(stop.message.contains(said), "{}", stop.message);
        assert!(stop.hint.as_deref().unwrap().contains("HostBuilder::pool"));
    }
}

#[tokio::test]
async fn a_component_that_cant_be_compiled_in_time_holds_up_nobody() {
    let child = ChildCompiler::program(env!("CARGO_BIN_EXE_host"));
    let host: Host = Host::builder().compile_in(child).build().unwrap();
    let tight = Policy::parse("limits.compile-cpu = '1s'\nlimits.compile-memory = '256MiB'").unwrap();
    let component = host.load(FILLER.into(), &Policy::default()).await.unwrap();
    let bomb = host.load(host::attack::Bomb::Joins.text().into_bytes(), &tight);
    tokio::pin!(bomb);
    let mut served = 0;
    let stop = loop {
        tokio::select! {
            stop = &mut bomb => break stop.err().unwrap(),
            found = call(&host, &component, "neighbour", "found()") => {
                assert_eq!(found, "0");
                served += 1;
            }
        }
    };
    assert_eq!(stop.reason.code(), "refused.compile-cpu");
    assert!(served > 0);
}
