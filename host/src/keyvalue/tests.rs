//! All stores against one model, and what only several callers at once can show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use self::redis_server::RedisServer;
use super::*;
use crate::policy::{Bytes, KeyValueAccess, Limits};

mod redis_server;

/// A store of each kind, and what keeps it alive.
struct Kinds {
    stores: Arc<Stores>,
    kinds: [(&'static str, KeyValueStore); 3],
    _folder: tempfile::TempDir,
    redis: RedisServer,
}

impl Kinds {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let redis = RedisServer::start();
        let kinds = [
            ("memory", KeyValueStore::Memory),
            ("file", KeyValueStore::File(folder.path().join("kv.redb"))),
            ("redis", KeyValueStore::parse(&redis.url()).unwrap()),
        ];
        Self { stores: Arc::default(), kinds, _folder: folder, redis }
    }

    async fn bucket(&self, store: &KeyValueStore, tenant: &str, name: &str, quota: BucketQuota) -> Arc<Bucket> {
        let grant =
            KeyValueGrant { bucket: name.to_owned(), store: store.clone(), access: KeyValueAccess::ReadWrite, quota };
        let buckets = self.stores.buckets(tenant, &[grant]).await.unwrap();
        Arc::clone(&buckets[name])
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn memory() -> Arc<Quota> {
    Arc::new(Quota::new(&Limits::default()))
}

fn quota(max_keys: u64, max_key: u64, max_value: u64, max_total: u64) -> BucketQuota {
    BucketQuota { max_keys, max_key: Bytes(max_key), max_value: Bytes(max_value), max_total: Bytes(max_total) }
}

fn set(key: &str, value: &str) -> Vec<Change> {
    vec![(key.to_owned(), Some(value.as_bytes().to_vec()))]
}

fn over<T>(name: &'static str, max: &str) -> Result<T, Error> {
    Err(Error::Quota(name, max.to_owned()))
}

#[derive(Clone, Debug)]
enum Step {
    Get(String),
    GetMany(Vec<String>),
    Exists(String),
    List,
    Write(Vec<Change>),
    Increment(String, u64),
}

#[derive(Debug, PartialEq)]
enum Found {
    Values(Vec<Option<Vec<u8>>>),
    Is(bool),
    Keys(Vec<String>),
    Sum(u64),
    Done,
}

const QUOTA: fn() -> BucketQuota = || quota(4, 3, 20, 40);

/// What a bucket is, said as simply as possible.
#[derive(Default)]
struct Model(BTreeMap<String, Vec<u8>>);

impl Model {
    fn step(&mut self, step: &Step) -> Result<Found, Error> {
        let fits = |key: &String| if key.len() > 3 { over("max-key", "3B") } else { Ok(()) };
        match step {
            Step::Get(key) => fits(key).map(|()| Found::Values(vec![self.0.get(key).cloned()])),
            Step::GetMany(keys) => {
                keys.iter().try_for_each(fits)?;
                Ok(Found::Values(keys.iter().map(|key| self.0.get(key).cloned()).collect()))
            }
            Step::Exists(key) => fits(key).map(|()| Found::Is(self.0.contains_key(key))),
            Step::List => Ok(Found::Keys(self.0.keys().cloned().collect())),
            Step::Write(changes) => {
                for (key, value) in changes {
                    fits(key)?;
                    if value.as_ref().is_some_and(|value| value.len() > 20) {
                        return over("max-value", "20B");
                    }
                }
                self.change(changes)
            }
            Step::Increment(key, delta) => {
                fits(key)?;
                let old = match self.0.get(key) {
                    None => 0,
                    Some(old) if old.len() > 20 || old.is_empty() || old.contains(&b'+') => {
                        return Err(Error::NotANumber);
                    }
                    Some(old) => String::from_utf8_lossy(old)
                        .parse::<u128>()
                        .ok()
                        .filter(|n| *n <= u128::from(u64::MAX))
                        .ok_or(Error::NotANumber)?,
                };
                let sum = u64::try_from(old + u128::from(*delta)).map_err(|_| Error::Overflow)?;
                self.change(&set(key, &sum.to_string()))?;
                Ok(Found::Sum(sum))
            }
        }
    }

    fn change(&mut self, changes: &[Change]) -> Result<Found, Error> {
        let mut after = self.0.clone();
        for (key, value) in changes {
            match value {
                Some(value) => after.insert(key.clone(), value.clone()),
                None => after.remove(key),
            };
        }
        let total = |map: &BTreeMap<String, Vec<u8>>| map.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        if after.len() > 4 {
            return over("max-keys", "4");
        }
        if total(&after) > 40 {
            return over("max-total", "40B");
        }
        self.0 = after;
        Ok(Found::Done)
    }
}

async fn step(bucket: &Bucket, step: &Step) -> Result<Found, Error> {
    let memory = memory();
    let found = match step.clone() {
        Step::Get(key) => Found::Values(vec![bucket.get(key, &memory).await?]),
        Step::GetMany(keys) => Found::Values(bucket.get_many(&keys, &memory).await?),
        Step::Exists(key) => Found::Is(bucket.exists(key).await?),
        Step::List => {
            let mut page = bucket.keys(0, &memory).await?;
            assert_eq!(page.next, None);
            page.keys.sort();
            Found::Keys(page.keys)
        }
        Step::Write(changes) => bucket.write(changes).await.map(|()| Found::Done)?,
        Step::Increment(key, delta) => Found::Sum(bucket.increment(key, delta).await?),
    };
    assert_eq!(memory.memory.now(), 0, "what was held is given back");
    Ok(found)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Few enough that most steps meet a key that is there.
    let key = || prop::sample::select(vec!["", "a", "b", "ab", "\0", "ä", "long"]).prop_map(str::to_owned);
    let number = prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        (u64::MAX - 20..=u64::MAX).prop_map(|n| n.to_string()),
        (0_u64..30).prop_map(|n| format!("{n:03}")),
        Just("18446744073709551616".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("+7".to_owned()),
        Just("00000000000000000000".to_owned()),
    ];
    let value = prop_oneof![3 => number.prop_map(String::into_bytes), 3 => prop::collection::vec(any::<u8>(), 0..=21)];
    let value = value.boxed();
    let change = (key(), prop::option::weighted(0.7, value.clone()));
    let delta = prop_oneof![0_u64..20, any::<u64>(), u64::MAX - 20..=u64::MAX];
    let one = prop_oneof![
        2 => key().prop_map(Step::Get),
        1 => prop::collection::vec(key(), 0..4).prop_map(Step::GetMany),
        1 => key().prop_map(Step::Exists),
        1 => Just(Step::List),
        4 => (key(), value).prop_map(|(key, value)| Step::Write(vec![(key, Some(value))])),
        2 => key().prop_map(|key| Step::Write(vec![(key, None)])),
        2 => prop::collection::vec(change, 0..5).prop_map(Step::Write),
        4 => (key(), delta).prop_map(|(key, delta)| Step::Increment(key, delta)),
    ];
    prop::collection::vec(one, 1..30)
}

#[test]
fn every_store_gives_the_answers_of_a_map() {
    let (runtime, kinds) = (runtime(), Kinds::new());
    for ((kind, store), cases) in kinds.kinds.iter().zip([512, 24, 192]) {
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let case = std::sync::atomic::AtomicUsize::new(0);
        let result = runner.run(&steps(), |steps| {
            runtime.block_on(async {
                // A tenant for each case, so that what others have is there all the time.
                let tenant = format!("t{}", case.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
                let bucket = kinds.bucket(store, &tenant, "b", QUOTA()).await;
                let mut model = Model::default();
                for next in &steps {
                    prop_assert_eq!(step(&bucket, next).await, model.step(next), "{}: {:?}", kind, next);
                }
                let all = step(&bucket, &Step::List).await;
                prop_assert_eq!(all, model.step(&Step::List));
                Ok(())
            })
        });
        result.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
}

#[test]
fn every_store_adds_alike_up_to_the_last_number() {
    let kinds = Kinds::new();
    let max = u64::MAX.to_string();
    let olds = ["", "0", "5", "95", "007", "+5", "x", "1\n", "9999999999999999999", "18446744073709551616", &max];
    let deltas = [0, 1, 5, 9, 905, 8_446_744_073_709_551_616, u64::MAX];
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let bucket = kinds.bucket(store, "i", "b", BucketQuota::default()).await;
            for old in olds {
                for delta in deltas {
                    bucket.write(set("n", old)).await.unwrap();
                    let sum = add(old.as_bytes(), delta);
                    assert_eq!(bucket.increment("n".into(), delta).await, sum, "{kind}: {old:?} + {delta}");
                    let now = sum.map_or(old.to_owned(), |sum| sum.to_string());
                    let found = bucket.get("n".into(), &memory()).await;
                    assert_eq!(found, Ok(Some(now.into_bytes())), "{kind}: {old:?} + {delta}");
                }
            }
        }
    });
}

#[test]
fn two_tenants_with_one_name_have_two_buckets_and_so_have_two_names() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let mut all = Vec::new();
            for (tenant, name) in [("a", "b"), ("a.b", "b"), ("a", ""), ("a", "b:c"), ("c", "b")] {
                let bucket = kinds.bucket(store, tenant, name, BucketQuota::default()).await;
                all.push((format!("{tenant}/{name}"), bucket));
            }
            for (own, bucket) in &all {
                assert_eq!(bucket.get("k".into(), &memory()).await, Ok(None), "{kind} {own}");
                bucket.write(set("k", own)).await.unwrap();
                bucket.write(set(own, "")).await.unwrap();
            }
            for (own, bucket) in &all {
                let value = bucket.get("k".into(), &memory()).await.unwrap().unwrap();
                assert_eq!(value, own.as_bytes(), "{kind}");
                let mut page = bucket.keys(0, &memory()).await.unwrap();
                page.keys.sort();
                assert_eq!(page, Page { keys: vec![own.clone(), "k".into()], next: None }, "{kind}");
            }
            let (_, first) = &all[0];
            first.write(vec![("k".into(), None)]).await.unwrap();
            for (own, bucket) in &all[1..] {
                assert_eq!(bucket.exists("k".into()).await, Ok(true), "{kind} {own}");
            }
        }
    });
}

#[test]
fn each_quota_holds_exactly_at_its_bound() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let open = async |name, quota| kinds.bucket(store, "q", name, quota).await;
            let keys = open("keys", quota(2, 10, 10, 1000)).await;
            assert_eq!(keys.write(set("a", "1")).await, Ok(()), "{kind}");
            assert_eq!(keys.increment("b".into(), 1).await, Ok(1));
            assert_eq!(keys.write(set("c", "")).await, over("max-keys", "2"), "{kind}");
            assert_eq!(keys.increment("c".into(), 1).await, over("max-keys", "2"), "{kind}");
            assert_eq!(keys.write(set("a", "22")).await, Ok(()), "another value of a key is no key more");
            let swap = vec![("a".into(), None), ("c".into(), Some(vec![]))];
            assert_eq!(keys.write(swap).await, Ok(()), "{kind}: a batch counts as a whole");

            let one = open("one", quota(9, 3, 5, 1000)).await;
            assert_eq!(one.write(set("abc", "12345")).await, Ok(()));
            assert_eq!(one.write(set("abcd", "")).await, over("max-key", "3B"));
            assert_eq!(one.write(set("a", "123456")).await, over("max-value", "5B"));
            assert_eq!(one.write(set("n", "99999")).await, Ok(()));
            assert_eq!(one.increment("n".into(), 1).await, over("max-value", "5B"), "{kind}");
            assert_eq!(one.get("n".into(), &memory()).await, Ok(Some(b"99999".to_vec())), "{kind}");

            let total = open("total", quota(9, 9, 9, 10)).await;
            assert_eq!(total.write(set("ab", "12345678")).await, Ok(()), "{kind}");
            assert_eq!(total.write(set("a", "")).await, over("max-total", "10B"), "{kind}");
            assert_eq!(total.write(set("ab", "123456789")).await, over("max-total", "10B"), "{kind}");
            assert_eq!(total.write(set("ab", "1234567")).await, Ok(()), "only the difference counts");
            assert_eq!(total.write(set("a", "")).await, Ok(()), "{kind}");
            assert_eq!(total.write(vec![("ab".into(), None)]).await, Ok(()));
            assert_eq!(total.write(set("cd", "1234567")).await, Ok(()), "{kind}: what is deleted is given back");
            assert_eq!(total.write(set("cd", "12345678")).await, over("max-total", "10B"), "{kind}");
        }
    });
}

#[test]
fn a_quota_that_was_lowered_lets_a_bucket_shrink() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let large = kinds.bucket(store, "l", "b", quota(9, 9, 9, 100)).await;
            for key in ["a", "b", "c"] {
                large.write(set(key, "12345678")).await.unwrap();
            }
            let small = kinds.bucket(store, "l", "b", quota(1, 9, 9, 10)).await;
            assert_eq!(small.write(set("a", "123456789")).await, over("max-total", "10B"), "{kind}");
            assert_eq!(small.write(set("d", "")).await, over("max-keys", "1"), "{kind}");
            assert_eq!(small.write(set("a", "1234567")).await, Ok(()), "{kind}");
            assert_eq!(small.write(vec![("b".into(), None)]).await, Ok(()), "{kind}");
        }
    });
}

#[test]
fn callers_at_the_same_moment_lose_no_sum_and_never_share_the_last_key() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for ((kind, store), callers) in kinds.kinds.iter().zip([64, 16, 64]) {
            let bucket = kinds.bucket(store, "c", "b", quota(10, 9, 9, 10_000)).await;
            let tasks: Vec<_> = (0..callers)
                .map(|n| {
                    let bucket = Arc::clone(&bucket);
                    tokio::spawn(async move {
                        for _ in 0..5 {
                            bucket.increment("sum".into(), n).await.unwrap();
                        }
                        bucket.write(set(&n.to_string(), "")).await.is_ok()
                    })
                })
                .collect();
            let mut stored = 0;
            for task in tasks {
                stored += usize::from(task.await.unwrap());
            }
            assert_eq!(stored, 9, "{kind}: ten keys, one of which is the sum");
            assert_eq!(bucket.keys(0, &memory()).await.unwrap().keys.len(), 10, "{kind}");
            assert_eq!(bucket.increment("sum".into(), 0).await, Ok((0..callers).sum::<u64>() * 5), "{kind}");
        }
    });
}

#[test]
fn a_call_that_is_dropped_is_done_as_a_whole_or_not_at_all() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let bucket = kinds.bucket(store, "d", "b", quota(40, 9, 9, 10_000)).await;
            for n in 0..30 {
                let pair = [format!("a{n}"), format!("b{n}")].map(|key| (key, Some(b"1".to_vec())));
                drop(tokio::time::timeout(Duration::ZERO, bucket.write(pair.into())).await);
            }
            // Later ones wait their turn, so the next answer comes after all that was begun.
            for n in 0..50 {
                drop(bucket.write(set(&format!("z{n}"), "")).await);
            }
            let keys = bucket.keys(0, &memory()).await.unwrap().keys;
            assert_eq!(keys.len(), 40, "{kind}: the count of keys is right to the last one");
            let whole = |key: &&String| key.starts_with('a');
            for key in keys.iter().filter(whole) {
                assert!(keys.contains(&key.replacen('a', "b", 1)), "{kind}: half of {key}");
            }
        }
    });
}

#[test]
fn a_listing_misses_nothing_that_stays_while_pages_are_deleted() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let bucket = kinds.bucket(store, "p", "b", BucketQuota::default()).await;
            for batch in 0..3 {
                let keys = (0..MAX_BATCH).map(|n| (format!("{batch}-{n}"), Some(Vec::new())));
                bucket.write(keys.collect()).await.unwrap();
            }
            bucket.write(set("last", "")).await.unwrap();
            let (mut from, mut sizes, mut seen) = (0, Vec::new(), std::collections::BTreeSet::new());
            loop {
                let page = bucket.keys(from, &memory()).await.unwrap();
                sizes.push(page.keys.len());
                let gone = page.keys.iter().map(|key| (key.clone(), None)).collect();
                bucket.write(gone).await.unwrap();
                seen.extend(page.keys);
                let Some(next) = page.next else { break };
                from = next;
            }
            assert_eq!((sizes.as_slice(), seen.len()), ([PAGE, PAGE, PAGE, 1].as_slice(), 3001), "{kind}");
            assert_eq!(bucket.keys(u64::MAX, &memory()).await, Ok(Page::default()), "{kind}");
            let more = (0..=MAX_BATCH).map(|n| (n.to_string(), None)).collect();
            assert_eq!(bucket.write(more).await, Err(Error::Batch(MAX_BATCH + 1)), "{kind}");
            let more: Vec<_> = (0..=MAX_BATCH).map(|n| n.to_string()).collect();
            assert_eq!(bucket.get_many(&more, &memory()).await, Err(Error::Batch(MAX_BATCH + 1)), "{kind}");
            assert!(bucket.get_many(&more[..MAX_BATCH], &memory()).await.is_ok(), "{kind}");
        }
    });
}

#[test]
fn what_is_read_must_fit_the_invocations_memory() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        for (kind, store) in &kinds.kinds {
            let bucket = kinds.bucket(store, "m", "b", BucketQuota::default()).await;
            for key in ["a", "b"] {
                bucket.write(set(key, &"x".repeat(50))).await.unwrap();
            }
            let keys = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
            let room = |bytes| Arc::new(Quota::new(&Limits { memory: Bytes(bytes), ..Limits::default() }));
            assert!(bucket.get_many(&keys, &room(100)).await.is_ok(), "{kind}");
            let little = room(99);
            assert_eq!(bucket.get_many(&keys, &little).await, Err(Error::Memory), "{kind}");
            assert!(little.memory.refused().is_some(), "{kind}: a trap that follows can be explained");
            assert!(bucket.get("a".into(), &room(50)).await.is_ok(), "{kind}");
            assert_eq!(bucket.get("a".into(), &room(49)).await, Err(Error::Memory), "{kind}");
            assert_eq!(bucket.keys(0, &room(1)).await, Err(Error::Memory), "{kind}");
            assert_eq!(little.memory.now(), 0, "{kind}");
        }
    });
}

#[test]
fn a_server_that_goes_away_is_an_error_until_it_is_back() {
    let mut kinds = Kinds::new();
    runtime().block_on(async {
        let (_, store) = kinds.kinds[2].clone();
        let bucket = kinds.bucket(&store, "r", "b", BucketQuota::default()).await;
        bucket.write(set("k", "v")).await.unwrap();
        kinds.redis.stop();
        assert_eq!(bucket.get("k".into(), &memory()).await, Err(Error::Unavailable));
        assert_eq!(bucket.increment("n".into(), 1).await, Err(Error::Unavailable));
        kinds.redis.start_again();
        // The connection is made anew in the background, and the new server has no scripts yet.
        while bucket.increment("n".into(), 1).await == Err(Error::Unavailable) {
            tokio::task::yield_now().await;
        }
        assert!(bucket.increment("n".into(), 1).await.unwrap() >= 2);
        assert_eq!(bucket.get("k".into(), &memory()).await, Ok(None));
    });
}

#[test]
fn two_paths_to_one_file_are_one_store() {
    let kinds = Kinds::new();
    runtime().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (plain, detour) = (folder.path().join("a"), folder.path().join(".").join("a"));
        std::os::unix::fs::symlink(&plain, folder.path().join("link")).unwrap();
        let first = kinds.bucket(&KeyValueStore::File(plain), "t", "b", BucketQuota::default()).await;
        first.write(set("k", "v")).await.unwrap();
        for path in [detour, folder.path().join("link")] {
            let second = kinds.bucket(&KeyValueStore::File(path), "t", "b", BucketQuota::default()).await;
            assert_eq!(second.get("k".into(), &memory()).await, Ok(Some(b"v".to_vec())));
        }
    });
}

#[test]
fn only_digits_are_a_number() {
    assert_eq!(add(b"007", 1), Ok(8));
    assert_eq!(add(b"18446744073709551614", 1), Ok(u64::MAX));
    assert_eq!(add(b"18446744073709551615", 1), Err(Error::Overflow));
    for wrong in ["", "+1", "-1", " 1", "1.0", "1e3", "x", "18446744073709551616", "000000000000000000001"] {
        assert_eq!(add(wrong.as_bytes(), 0), Err(Error::NotANumber), "{wrong:?}");
    }
}
