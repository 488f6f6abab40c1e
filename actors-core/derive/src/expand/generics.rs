//! Type parameters: bounds that actors and messages need, and the share that one message takes.

use std::collections::HashSet;

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::visit::{self, Visit};
use syn::{GenericParam, Generics, Path, Type, TypeParamBound, WherePredicate, parse_quote};

use crate::attr::Threads;
use crate::faults::Faults;

pub(crate) const NO_BORROWING_ACTOR: &str =
    "an actor outlives the code that spawned it, so it cannot borrow; use an owned type";

/// Reports lifetime parameters; what is generated afterwards holds for `'static` only.
pub(crate) fn refuse_lifetimes(generics: &mut Generics, text: &str, faults: &mut Faults) {
    let lifetimes: Vec<_> = generics.lifetimes().map(|it| it.lifetime.clone()).collect();
    if let Some(first) = lifetimes.first() {
        faults.at(first, text);
    }
    for lifetime in lifetimes {
        let is_static: WherePredicate = parse_quote!(#lifetime: 'static);
        generics.make_where_clause().predicates.push(is_static);
    }
}

/// What an actor asks of every type parameter.
pub(crate) fn actor_bounds(threads: Threads) -> TokenStream {
    match threads {
        Threads::Any => message_bounds(),
        Threads::One => quote!('static),
    }
}

/// What a message asks of every type parameter.
pub(crate) fn message_bounds() -> TokenStream {
    quote!(::core::marker::Send + 'static)
}

/// Adds `bounds` to those of `params`.
pub(crate) fn require<'a>(
    generics: &mut Generics,
    params: impl IntoIterator<Item = &'a Ident>,
    bounds: &TokenStream,
) {
    let mut params = params.into_iter().peekable();
    if params.peek().is_none() {
        return;
    }
    let clause = generics.make_where_clause();
    for param in params {
        let bounds = quote_spanned!(param.span()=> #bounds);
        clause.predicates.push(parse_quote!(#param: #bounds));
    }
}

pub(crate) fn type_params(generics: &Generics) -> Vec<Ident> {
    generics.type_params().map(|it| it.ident.clone()).collect()
}

/// The type and const parameters that something mentions.
pub(crate) struct Mentioned<'a> {
    generics: &'a Generics,
    names: HashSet<&'a Ident>,
}

impl<'a> Mentioned<'a> {
    pub(crate) fn by<'t>(
        generics: &'a Generics,
        types: impl IntoIterator<Item = &'t Type>,
    ) -> Self {
        let mut mentioned = Self::by_nothing(generics);
        types.into_iter().for_each(|ty| mentioned.visit_type(ty));
        mentioned
    }

    fn by_nothing(generics: &'a Generics) -> Self {
        Self {
            generics,
            names: HashSet::new(),
        }
    }

    pub(crate) fn contains(&self, param: &Ident) -> bool {
        self.names.contains(param)
    }

    /// These parameters, with those of their bounds that mention no other parameter.
    pub(crate) fn share(&self) -> Generics {
        let mut share = Generics::default();
        for param in &self.generics.params {
            let mut param = param.clone();
            let name = match &mut param {
                GenericParam::Lifetime(_) => continue,
                GenericParam::Const(param) => &param.ident,
                GenericParam::Type(param) => {
                    let bounds = std::mem::take(&mut param.bounds);
                    param.bounds = bounds
                        .into_iter()
                        .filter(|it| self.covers_bound(it))
                        .collect();
                    &param.ident
                }
            };
            if self.contains(name) {
                share.params.push(param);
            }
        }
        for predicate in self
            .generics
            .where_clause
            .iter()
            .flat_map(|it| &it.predicates)
        {
            if self.covers_predicate(predicate) {
                share.make_where_clause().predicates.push(predicate.clone());
            }
        }
        share
    }

    fn covers_bound(&self, bound: &TypeParamBound) -> bool {
        let mut mentioned = Self::by_nothing(self.generics);
        mentioned.visit_type_param_bound(bound);
        mentioned.names.is_subset(&self.names)
    }

    fn covers_predicate(&self, predicate: &WherePredicate) -> bool {
        let mut mentioned = Self::by_nothing(self.generics);
        mentioned.visit_where_predicate(predicate);
        !mentioned.names.is_empty() && mentioned.names.is_subset(&self.names)
    }
}

impl Visit<'_> for Mentioned<'_> {
    fn visit_path(&mut self, path: &Path) {
        // A parameter stands alone or, as in `K::Item`, at the front.
        let front = path
            .segments
            .first()
            .filter(|_| path.leading_colon.is_none());
        for param in &self.generics.params {
            let name = match param {
                GenericParam::Lifetime(_) => continue,
                GenericParam::Const(param) => &param.ident,
                GenericParam::Type(param) => &param.ident,
            };
            if front.is_some_and(|it| it.ident == *name) {
                self.names.insert(name);
            }
        }
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::ItemImpl;

    use super::*;

    fn share(types: &[Type]) -> (String, String) {
        let block: ItemImpl = parse_quote! {
            impl<K: Hash + Into<V>, V, const N: usize> Cache<K, V, N>
            where
                V: Clone,
                Vec<V>: Join<K>,
            {
            }
        };
        let share = Mentioned::by(&block.generics, types).share();
        let (params, clause) = (
            share.to_token_stream(),
            share.where_clause.to_token_stream(),
        );
        (params.to_string(), clause.to_string())
    }

    #[test]
    fn a_message_takes_the_parameters_it_mentions() {
        let none = (String::new(), String::new());
        assert_eq!(share(&[parse_quote!(u8)]), none);
        assert_eq!(share(&[parse_quote!(other::K)]), none);
        let key = ("< K : Hash >".into(), String::new());
        assert_eq!(share(&[parse_quote!(Vec<K::Item>)]), key);
        let value = ("< V , const N : usize >".into(), "where V : Clone".into());
        assert_eq!(share(&[parse_quote!([V; N])]), value);
    }

    #[test]
    fn a_bound_comes_along_when_all_it_mentions_does() {
        let (params, clause) = share(&[parse_quote!(K), parse_quote!(V)]);
        assert_eq!(params, "< K : Hash + Into < V > , V >");
        assert_eq!(clause, "where V : Clone , Vec < V > : Join < K >");
    }
}
