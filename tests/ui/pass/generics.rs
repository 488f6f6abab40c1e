use actors_core::{Actor, Addr, AskError, handlers};
use std::collections::HashMap;
use std::hash::Hash;

#[derive(Actor)]
struct Cache<K, V> {
    entries: HashMap<K, V>,
}

#[handlers]
impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    fn put(&mut self, key: K, value: V) {
        self.entries.insert(key, value);
    }
    async fn get(&mut self, key: K) -> Option<V> {
        self.entries.get(&key).cloned()
    }
    fn len(&self) -> usize {
        self.entries.len()
    }
    fn any(&self) -> Option<V> {
        self.entries.values().next().cloned()
    }
}

/// Const parameters and `Self` in types work, too.
#[derive(Actor)]
struct Ring<T, const N: usize> {
    items: [Option<T>; N],
}

#[handlers]
impl<T, const N: usize> Ring<T, N>
where
    T: Copy,
{
    const LAST: usize = N;

    fn replace(&mut self, items: [Option<T>; N]) -> [Option<T>; N] {
        std::mem::replace(&mut self.items, items)
    }
    fn last(&self) -> usize {
        Self::LAST
    }
}

async fn use_it(cache: Addr<Cache<String, u8>>, ring: Addr<Ring<u8, 2>>) -> Result<(), AskError> {
    cache.put("a".into(), 1).await?;
    cache.ask(Put { key: "a".into(), value: 1 }).await?;
    let _: Option<u8> = cache.get("a".into()).await?;
    let _: Option<u8> = cache.ask(Get::<String, u8>::new("a".into())).await?;
    let _: Option<u8> = cache.ask(Any::<u8>::new()).await?;
    let _: usize = cache.ask(Len).await?;
    let dynamic: &dyn CacheApi<String, u8> = &cache;
    dynamic.len().await?;
    let _: [Option<u8>; 2] = ring.replace([None, Some(1)]).await?;
    let _: usize = ring.last().await?;
    Ok(())
}

fn main() {
    let _ = use_it;
}
