//! What messages and replies are made of: owned data with a name.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Lifetime, ParenthesizedGenericArguments, TraitBound, Type, TypeBareFn, TypeImplTrait,
    TypeReference, parse_quote,
};

/// Why a type cannot be part of a message, and where in the type.
pub(crate) struct Unfit {
    pub(crate) tokens: TokenStream,
    pub(crate) reason: Reason,
}

pub(crate) enum Reason {
    /// It borrows; the text names what to use instead.
    Borrows(&'static str),
    /// It is `impl Trait`, which has no name.
    Unnamed,
}

/// Makes `ty` live as long as it likes, and says what had to change for that, if anything.
///
/// The changed type is only ever used beside an error: with it the rest of the generated code, and
/// the user's code that names it, still means something to the compiler.
pub(crate) fn make_owned(ty: &mut Type) -> Option<Unfit> {
    let mut owner = Owner::default();
    owner.visit_type_mut(ty);
    owner.unfit
}

#[derive(Default)]
struct Owner {
    /// The first thing found: one error per parameter is enough.
    unfit: Option<Unfit>,
    /// Lifetimes of the `for<'a>` around the place looked at; they borrow nothing.
    bound: Vec<Ident>,
}

impl Owner {
    fn found(&mut self, tokens: impl ToTokens, reason: Reason) {
        self.unfit.get_or_insert_with(|| Unfit {
            tokens: tokens.into_token_stream(),
            reason,
        });
    }

    fn borrows(&self, lifetime: &Lifetime) -> bool {
        lifetime.ident != "static" && !self.bound.contains(&lifetime.ident)
    }
}

impl VisitMut for Owner {
    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        if reference
            .lifetime
            .as_ref()
            .is_none_or(|it| self.borrows(it))
        {
            self.found(&reference, Reason::Borrows(instead_of(&reference.elem)));
            reference.lifetime = Some(parse_quote!('static));
            if let Type::TraitObject(object) = &*reference.elem {
                // Or the message would not be `Send`, which is not what the user has to hear.
                *reference.elem = parse_quote!((#object + ::core::marker::Sync));
            }
        }
        visit_mut::visit_type_mut(self, &mut reference.elem);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if self.borrows(lifetime) {
            self.found(&lifetime, Reason::Borrows("use an owned type"));
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }

    fn visit_type_impl_trait_mut(&mut self, opaque: &mut TypeImplTrait) {
        self.found(opaque, Reason::Unnamed);
    }

    fn visit_trait_bound_mut(&mut self, bound: &mut TraitBound) {
        let outer = self.bound.len();
        if let Some(binder) = &bound.lifetimes {
            for parameter in &binder.lifetimes {
                if let syn::GenericParam::Lifetime(parameter) = parameter {
                    self.bound.push(parameter.lifetime.ident.clone());
                }
            }
        }
        self.visit_path_mut(&mut bound.path);
        self.bound.truncate(outer);
    }

    /// `fn(&str)` takes any lifetime and holds none.
    fn visit_type_bare_fn_mut(&mut self, _: &mut TypeBareFn) {}

    /// So does `Fn(&str)`.
    fn visit_parenthesized_generic_arguments_mut(&mut self, _: &mut ParenthesizedGenericArguments) {
    }
}

/// What to use in place of a reference to `target`.
fn instead_of(target: &Type) -> &'static str {
    match target {
        Type::Slice(_) => "use `Vec<_>`",
        Type::TraitObject(_) => "use a `Box` or an `Arc` of the trait object",
        Type::Path(target) if target.path.is_ident("str") => "use `String` or `Arc<str>`",
        Type::Path(target)
            if target
                .path
                .segments
                .last()
                .is_some_and(|it| it.ident == "Path") =>
        {
            "use `PathBuf`"
        }
        _ => "use the value itself or an `Arc` of it",
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn owned(text: &str) -> (String, Option<String>) {
        let mut ty: Type = syn::parse_str(text).expect("a type");
        let unfit = make_owned(&mut ty);
        let place = unfit.map(|unfit| unfit.tokens.to_string());
        (quote!(#ty).to_string().replace(' ', ""), place)
    }

    #[test]
    fn owned_types_stay_as_they_are() {
        for ty in [
            "Vec<Option<u8>>",
            "&'static str",
            "Cow<'static, str>",
            "Box<dyn Fn(&str) -> &str>",
            "fn(&u8)",
            "Box<dyn for<'a> Visit<'a>>",
        ] {
            let (after, unfit) = owned(ty);
            assert_eq!((after, unfit), (ty.replace(' ', ""), None));
        }
    }

    #[test]
    fn the_first_borrow_is_shown_and_all_are_made_static() {
        let (after, place) = owned("(Option<&T>, Cow<'_, str>)");
        assert_eq!(after, "(Option<&'staticT>,Cow<'static,str>)");
        assert_eq!(place.as_deref(), Some("& T"));
    }

    #[test]
    fn a_bound_lifetime_ends_with_its_binder() {
        let (_, place) = owned("(Box<dyn for<'a> Visit<'a>>, Of<'a>)");
        assert_eq!(place.as_deref(), Some("'a"));
    }
}
