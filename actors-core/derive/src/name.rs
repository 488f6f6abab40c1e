//! The name of a message, from the name of the method that handles it.

use proc_macro2::Ident;
use syn::ext::IdentExt;

/// `get_user` gives `GetUser`; nothing where that is no name for a type (`_1`, `self_`).
pub(crate) fn message_name(method: &Ident) -> Option<Ident> {
    // Parsing refuses keywords and leading digits, which `Ident::new` lets through or panics at.
    let mut name: Ident = syn::parse_str(&camel_case(&method.unraw().to_string())).ok()?;
    name.set_span(method.span());
    Some(name)
}

/// Whether a type of this name would take the place of one that every module knows, which shows
/// far away from it: as a bound that is no trait, or a pattern that does not match.
pub(crate) fn hides_the_prelude(name: &Ident) -> bool {
    PRELUDE.iter().any(|known| name == known)
}

/// The types, traits and variants of the standard library's prelude.
const PRELUDE: &[&str] = &[
    "AsMut",
    "AsRef",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "Box",
    "Clone",
    "Copy",
    "Default",
    "DoubleEndedIterator",
    "Drop",
    "Eq",
    "Err",
    "ExactSizeIterator",
    "Extend",
    "Fn",
    "FnMut",
    "FnOnce",
    "From",
    "FromIterator",
    "Future",
    "Into",
    "IntoFuture",
    "IntoIterator",
    "Iterator",
    "None",
    "Ok",
    "Option",
    "Ord",
    "PartialEq",
    "PartialOrd",
    "Result",
    "Send",
    "Sized",
    "Some",
    "String",
    "Sync",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Unpin",
    "Vec",
];

fn camel_case(snake: &str) -> String {
    snake
        .split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            let first = letters.next().into_iter().flat_map(char::to_uppercase);
            first.chain(letters)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_and_capitalised() {
        for (snake, camel) in [
            ("inc", "Inc"),
            ("get_user", "GetUser"),
            ("get_http2_url", "GetHttp2Url"),
            ("_hidden", "Hidden"),
            ("trailing_", "Trailing"),
            ("two__lines", "TwoLines"),
            ("getURL", "GetURL"),
            ("überholen", "Überholen"),
        ] {
            assert_eq!(camel_case(snake), camel);
        }
    }

    #[test]
    fn a_raw_name_loses_its_prefix() {
        let method: Ident = syn::parse_str("r#type").expect("a raw identifier");
        assert_eq!(message_name(&method).expect("a type name"), "Type");
    }

    #[test]
    fn names_of_the_prelude_are_known() {
        for (method, hides) in [("send", true), ("into_iter", false), ("none", true)] {
            let method: Ident = syn::parse_str(method).expect("an identifier");
            let name = message_name(&method).expect("a type name");
            assert_eq!(hides_the_prelude(&name), hides, "{name}");
        }
    }

    #[test]
    fn what_is_no_type_name_gives_none() {
        for method in ["_1", "__", "self_"] {
            let method: Ident = syn::parse_str(method).expect("an identifier");
            assert_eq!(message_name(&method), None);
        }
    }
}
