//! The trait that has an actor's messages as methods.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::Visibility;

use super::block::Block;
use super::payload::NewPayload;
use super::shown_at;

/// The trait `name`, and its impl for the actor's address.
pub(crate) fn api(name: &Ident, messages: &[&NewPayload<'_>], block: &Block) -> TokenStream {
    let span = shown_at(name.span());
    let vis = widest(messages.iter().map(|message| &message.method.vis));
    let cfgs = &block.cfgs;
    let (params, clause) = (&block.generics, &block.generics.where_clause);
    let declared = messages.iter().map(|message| {
        let (cfgs, notes) = (&message.method.cfgs, &message.method.notes);
        let signature = signature(message);
        quote_spanned!(message.span()=> #(#cfgs)* #(#notes)* #signature;)
    });

    let sent: Vec<_> = messages
        .iter()
        .flat_map(|message| message.type_params())
        .collect();
    let bounded = block.bounded_generics(&sent);
    let (impl_params, _, impl_clause) = bounded.split_for_impl();
    let (_, args, _) = block.generics.split_for_impl();
    let actor = &block.actor;
    let defined = messages.iter().map(|message| {
        let (cfgs, signature, literal) =
            (&message.method.cfgs, signature(message), message.literal());
        quote_spanned! {message.span()=>
            #(#cfgs)*
            #signature {
                ::actors_core::Addr::ask(self, #literal)
            }
        }
    });

    let docs = format!(
        "The messages of `{}` as methods: its address has them, and a stand-in for it can.",
        block.name
    );
    quote_spanned! {span=>
        #(#cfgs)*
        #[doc = #docs]
        #[allow(dead_code, missing_docs, private_bounds, private_interfaces, unreachable_pub)]
        #vis trait #name #params: ::core::marker::Send + ::core::marker::Sync #clause {
            #(#declared)*
        }

        #(#cfgs)*
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_params #name #args for ::actors_core::Addr<#actor> #impl_clause {
            #(#defined)*
        }
    }
}

fn signature(message: &NewPayload<'_>) -> TokenStream {
    let (name, reply) = (&message.method.name, &message.method.reply);
    let fields = message.fields().iter().map(|field| &field.name);
    let types = message.fields().iter().map(|field| &field.ty);
    quote_spanned! {message.span()=>
        fn #name(&self, #(#fields: #types),*) -> ::actors_core::Ask<'_, #reply>
    }
}

/// The visibility that lets most callers in.
fn widest<'a>(visibilities: impl Iterator<Item = &'a Visibility>) -> Visibility {
    visibilities
        .max_by_key(|vis| match vis {
            Visibility::Public(_) => 4,
            Visibility::Restricted(to) if to.path.is_ident("crate") => 3,
            Visibility::Restricted(to) if to.in_token.is_some() => 2,
            Visibility::Restricted(to) if to.path.is_ident("super") => 1,
            Visibility::Restricted(_) | Visibility::Inherited => 0,
        })
        .cloned()
        .unwrap_or(Visibility::Inherited)
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn the_widest_visibility_wins() {
        let (private, crate_wide): (Visibility, Visibility) =
            (parse_quote!(), parse_quote!(pub(crate)));
        let (parent, public) = (parse_quote!(pub(super)), parse_quote!(pub));
        for (among, expected) in [
            (vec![], ""),
            (vec![&private], ""),
            (vec![&parent, &private], "pub (super)"),
            (vec![&private, &crate_wide, &parent], "pub (crate)"),
            (vec![&public, &crate_wide], "pub"),
        ] {
            assert_eq!(
                widest(among.into_iter()).to_token_stream().to_string(),
                expected
            );
        }
    }
}
