//! Doc comments go to the message, its fields and the method of the trait.
#![deny(missing_docs)]

/// Tells people.
pub mod people {
    use actors_core::{Actor, handlers};

    /// Tells people.
    #[derive(Actor)]
    pub struct People;

    #[handlers(api = Names)]
    impl People {
        /// Finds one.
        #[doc = "By number."]
        pub fn find(
            &self,
            /// The number.
            #[doc = "It starts at 1."]
            id: u64,
        ) -> Option<String> {
            (id == 1).then(|| "one".into())
        }
    }
}

fn main() {
    let _ = people::Find { id: 1 };
}
