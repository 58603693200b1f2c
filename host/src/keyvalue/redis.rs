//! Buckets in a Redis server, which any number of hosts can share.
//!
//! A bucket is three keys of the server: a hash with the values, a sorted set with the keys by their position for
//! listings, and the sum of their bytes. Whatever changes them, or reads more than one value, is a script, which the
//! server runs as one step. All tenants share one connection to a server, on which replies come in order.
//!
//! Threat model: the server is the operator's and believed; a guest's keys and values are arguments, never parts of a
//! command or a script. The server must not evict keys (`maxmemory-policy noeviction`), or quotas count what is gone.
//! Whoever has the server's password has all tenants' data. A call whose reply doesn't come is an error after
//! [`PATIENCE`], or the end of its invocation at its deadline; what was asked for may still have been done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, ServerErrorKind, Value};

use super::{Change, Error, Held, PAGE, Page, place};
use crate::outcome::Stop;
use crate::policy::{BucketQuota, RedisUrl};
use crate::quota::Quota;

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// A script and its name in the server's own memory.
struct Script {
    text: &'static str,
    sha: String,
}

/// One server.
pub(super) struct Store {
    connection: ConnectionManager,
    shown: String,
    read: Script,
    write: Script,
    increment: Script,
    /// Whether the last use failed: an outage is worth one message.
    failing: AtomicBool,
}

/// One bucket of one tenant.
pub(super) struct Space {
    store: Arc<Store>,
    values: String,
    index: String,
    bytes: String,
}

impl Store {
    /// Connects, and leaves the scripts with the server.
    pub(super) async fn connect(url: &RedisUrl) -> Result<Arc<Self>, Stop> {
        let refused = |error: RedisError| {
            let why = if error.is_timeout() { "it doesn't answer".to_owned() } else { error.to_string() };
            let message = format!("failed to reach the key-value store `{url}`: {why}");
            super::refused(message, "start the server, or name the right one with `store` under `[[key-value]]`")
        };
        let connect = async {
            let client = Client::open(url.secret())?;
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(CONNECT))
                .set_response_timeout(Some(PATIENCE));
            let mut connection = ConnectionManager::new_with_config(client, config).await?;
            let mut scripts = Vec::new();
            for text in [READ, WRITE, INCREMENT] {
                let sha = redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await?;
                scripts.push(Script { text, sha });
            }
            Ok((connection, scripts))
        };
        let timeout = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        let connected = tokio::time::timeout(PATIENCE, connect).await.unwrap_or_else(|_| Err(timeout()));
        let (connection, scripts) = connected.map_err(refused)?;
        let Ok([read, write, increment]) = <[Script; 3]>::try_from(scripts) else {
            return Err(Stop::host_fault("the scripts for Redis are not three"));
        };
        let failing = AtomicBool::new(false);
        Ok(Arc::new(Self { connection, shown: url.to_string(), read, write, increment, failing }))
    }

    /// A tenant's bucket on this server.
    pub(super) fn space(self: &Arc<Self>, tenant: &str, bucket: &str) -> Space {
        let [values, index, bytes] = place::redis_keys(tenant, bucket);
        Space { store: Arc::clone(self), values, index, bytes }
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        self.finish(self.try_ask(command).await)
    }

    async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let mut connection = self.connection.clone();
        let asked = tokio::time::timeout(PATIENCE, command.query_async(&mut connection));
        asked.await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    /// Runs a script by its name, or by its text where the server has forgotten it.
    async fn run<T: FromRedisValue>(&self, script: &Script, arguments: impl Fn(&mut Cmd)) -> Result<T, Error> {
        let mut command = redis::cmd("EVALSHA");
        arguments(command.arg(&script.sha));
        match self.try_ask(&command).await {
            Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
                let mut command = redis::cmd("EVAL");
                arguments(command.arg(script.text));
                self.ask(&command).await
            }
            result => self.finish(result),
        }
    }

    fn finish<T>(&self, result: Result<T, RedisError>) -> Result<T, Error> {
        if let Err(error) = &result
            && !self.failing.swap(true, Relaxed)
        {
            tracing::warn!("the key-value store `{}` failed: {error}", self.shown);
        } else if result.is_ok() {
            self.failing.store(false, Relaxed);
        }
        result.map_err(|_| Error::Unavailable)
    }
}

impl Space {
    pub(super) async fn get(&self, key: &str, quota: &Quota) -> Result<Option<Vec<u8>>, Error> {
        let value: Option<Vec<u8>> = self.store.ask(redis::cmd("HGET").arg(&self.values).arg(key)).await?;
        Held::nothing(quota).grow(value.as_ref().map_or(0, Vec::len))?;
        Ok(value)
    }

    pub(super) async fn get_many(&self, keys: &[String], quota: &Quota) -> Result<Vec<Option<Vec<u8>>>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let room = quota.memory.left();
        let values: Option<Vec<Option<Vec<u8>>>> = self
            .store
            .run(&self.store.read, |command| {
                command.arg(1).arg(&self.values).arg(room).arg(keys);
            })
            .await?;
        let Some(values) = values else {
            // So that a trap which follows is told as the limit's, as for other stores.
            Held::nothing(quota).grow(usize::try_from(room).unwrap_or(usize::MAX).saturating_add(1))?;
            return Err(Error::Memory);
        };
        Held::nothing(quota).grow(values.iter().flatten().map(Vec::len).sum())?;
        Ok(values)
    }

    pub(super) async fn exists(&self, key: &str) -> Result<bool, Error> {
        self.store.ask(redis::cmd("HEXISTS").arg(&self.values).arg(key)).await
    }

    pub(super) async fn keys(&self, from: u64, quota: &Quota) -> Result<Page, Error> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(&self.index).arg(from).arg("+inf").arg("LIMIT").arg(0).arg(PAGE.saturating_add(1));
        let mut keys: Vec<String> = self.store.ask(&command).await?;
        Held::nothing(quota).grow(keys.iter().map(String::len).sum())?;
        let next = keys.get(PAGE).map(|key| place::position(key));
        keys.truncate(PAGE);
        Ok(Page { keys, next })
    }

    pub(super) async fn write(&self, changes: &[Change], quota: &BucketQuota) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let status: i64 = self
            .store
            .run(&self.store.write, |command| {
                self.bucket(command).arg(quota.max_keys).arg(quota.max_total.0);
                for (key, value) in changes {
                    match value {
                        Some(value) => command.arg("set").arg(key).arg(place::position(key)).arg(value.as_slice()),
                        None => command.arg("delete").arg(key).arg("").arg(""),
                    };
                }
            })
            .await?;
        self.told(status, quota)
    }

    pub(super) async fn increment(&self, key: &str, delta: u64, quota: &BucketQuota) -> Result<u64, Error> {
        let answer: Value = self
            .store
            .run(&self.store.increment, |command| {
                self.bucket(command).arg(quota.max_keys).arg(quota.max_total.0);
                command.arg(key).arg(place::position(key)).arg(delta).arg(quota.max_value.0);
            })
            .await?;
        if let Value::Int(status) = answer {
            self.told(status, quota)?;
        }
        self.store.finish(u64::from_redis_value(answer).map_err(RedisError::from))
    }

    fn bucket<'c>(&self, command: &'c mut Cmd) -> &'c mut Cmd {
        command.arg(3).arg(&self.values).arg(&self.index).arg(&self.bytes)
    }

    /// What a script's status means.
    fn told(&self, status: i64, quota: &BucketQuota) -> Result<(), Error> {
        Err(match status {
            0 => return Ok(()),
            1 => super::too_many_keys(quota),
            2 => super::too_many_bytes(quota),
            3 => super::too_large_a_value(quota),
            4 => Error::NotANumber,
            5 => Error::Overflow,
            _ => Error::Unavailable,
        })
    }
}

/// The values of several keys, or nothing where they are more bytes than the first argument.
const READ: &str = r"
local room = tonumber(ARGV[1])
local size = 0
for i = 2, #ARGV do
  size = size + redis.call('HSTRLEN', KEYS[1], ARGV[i])
end
if size > room then return false end
local values = {}
for i = 2, #ARGV do
  values[i - 1] = redis.call('HGET', KEYS[1], ARGV[i])
end
return values
";

/// Changes, in fours after two bounds; none are made where they go past one.
const WRITE: &str = r"
local keys = redis.call('HLEN', KEYS[1])
local bytes = tonumber(redis.call('GET', KEYS[3]) or '0')
local more_keys, more_bytes = 0, 0
for i = 3, #ARGV, 4 do
  local key = ARGV[i + 1]
  local old = redis.call('HSTRLEN', KEYS[1], key)
  if old > 0 or redis.call('HEXISTS', KEYS[1], key) == 1 then
    more_keys = more_keys - 1
    more_bytes = more_bytes - #key - old
  end
  if ARGV[i] == 'set' then
    more_keys = more_keys + 1
    more_bytes = more_bytes + #key + #ARGV[i + 3]
  end
end
if more_keys > 0 and keys + more_keys > tonumber(ARGV[1]) then return 1 end
if more_bytes > 0 and bytes + more_bytes > tonumber(ARGV[2]) then return 2 end
for i = 3, #ARGV, 4 do
  local key = ARGV[i + 1]
  if ARGV[i] == 'set' then
    if redis.call('HSET', KEYS[1], key, ARGV[i + 3]) == 1 then
      redis.call('ZADD', KEYS[2], ARGV[i + 2], key)
    end
  elseif redis.call('HDEL', KEYS[1], key) == 1 then
    redis.call('ZREM', KEYS[2], key)
  end
end
if keys + more_keys == 0 then
  redis.call('DEL', KEYS[3])
elseif more_bytes ~= 0 then
  redis.call('INCRBY', KEYS[3], string.format('%.0f', more_bytes))
end
return 0
";

/// One sum. The script's own numbers hold 53 bits, so it adds digits.
const INCREMENT: &str = r"
local key, delta = ARGV[3], ARGV[5]
local old = redis.call('HGET', KEYS[1], key)
local sum = delta
if old then
  if #old > 20 or not string.find(old, '^%d+$') then return 4 end
  local limit = '18446744073709551615'
  local a = string.gsub(old, '^0+', '')
  if #a > 20 or (#a == 20 and a > limit) then return 4 end
  local digits, carry = {}, 0
  local length = math.max(#a, #delta)
  for i = 1, length do
    local x = tonumber(string.sub(a, -i, -i)) or 0
    local y = tonumber(string.sub(delta, -i, -i)) or 0
    if i > #a then x = 0 end
    if i > #delta then y = 0 end
    local z = x + y + carry
    carry = math.floor(z / 10)
    digits[length - i + 1] = tostring(z % 10)
  end
  sum = table.concat(digits)
  if carry > 0 then sum = '1' .. sum end
  sum = string.gsub(sum, '^0+(%d)', '%1')
  if #sum > 20 or (#sum == 20 and sum > limit) then return 5 end
end
if #sum > tonumber(ARGV[6]) then return 3 end
local keys = redis.call('HLEN', KEYS[1])
local bytes = tonumber(redis.call('GET', KEYS[3]) or '0')
local more_keys, more_bytes = 0, #sum - #(old or '')
if not old then
  more_keys = 1
  more_bytes = more_bytes + #key
end
if more_keys > 0 and keys + 1 > tonumber(ARGV[1]) then return 1 end
if more_bytes > 0 and bytes + more_bytes > tonumber(ARGV[2]) then return 2 end
redis.call('HSET', KEYS[1], key, sum)
if not old then redis.call('ZADD', KEYS[2], ARGV[4], key) end
if more_bytes ~= 0 then redis.call('INCRBY', KEYS[3], string.format('%.0f', more_bytes)) end
return sum
";
