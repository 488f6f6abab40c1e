//! The arguments of `#[task]`.

use proc_macro2::TokenStream;
use syn::LitStr;
use syn::parse::Parser;

use crate::faults::Faults;

/// How a function is to be known to another process.
#[derive(Default)]
pub(crate) struct TaskOptions {
    /// Its name there, if not its path.
    pub(crate) name: Option<LitStr>,
}

impl TaskOptions {
    pub(crate) fn read(args: TokenStream, faults: &mut Faults) -> Self {
        let mut options = Self::default();
        let parser = syn::meta::parser(|meta| {
            if !meta.path.is_ident("name") {
                return Err(meta.error("unknown option; there is `name = \"..\"`"));
            }
            options.name = Some(meta.value()?.parse()?);
            Ok(())
        });
        faults.keep(parser.parse2(args));
        options
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    #[test]
    fn a_name_is_all_there_is() {
        let read = |args| {
            let mut faults = Faults::default();
            let name = TaskOptions::read(args, &mut faults).name;
            (name.map(|name| name.value()), faults.texts())
        };
        assert_eq!(read(quote!()), (None, vec![]));
        assert_eq!(read(quote!(name = "a")), (Some("a".to_owned()), vec![]));
        assert!(read(quote!(retries = 3)).1[0].starts_with("unknown option"));
        assert_eq!(read(quote!(name = 3)).1.len(), 1);
    }
}
