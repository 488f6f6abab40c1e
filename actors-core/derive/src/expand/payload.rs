//! The message that a method handles, and the type that is made for it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Generics;

use super::generics::{self, Mentioned};
use super::method::{Message, Method};
use super::shown_at;
use super::signature::{Field, NewMessage};

/// A method's message, with its share of the block's parameters.
pub(crate) struct Payload<'a> {
    pub(crate) ty: TokenStream,
    /// Type parameters that must be as fit to be sent as the message is.
    pub(crate) params: Vec<Ident>,
    new: Option<NewPayload<'a>>,
}

/// A message type that is made.
pub(crate) struct NewPayload<'a> {
    pub(crate) method: &'a Method,
    message: &'a NewMessage,
    generics: Generics,
    /// Parameters that only the reply mentions: a struct must use them all the same.
    unused: Vec<Ident>,
}

impl<'a> Payload<'a> {
    pub(crate) fn of(method: &'a Method, block: &Generics) -> Self {
        let message = match &method.message {
            Message::New(message) => message,
            Message::Existing(ty) => {
                let params = generics::type_params(&Mentioned::by(block, [ty]).share());
                return Self {
                    ty: ty.to_token_stream(),
                    params,
                    new: None,
                };
            }
        };
        let fields = || message.fields.iter().map(|field| &field.ty);
        let in_fields = Mentioned::by(block, fields());
        let generics = Mentioned::by(block, fields().chain([&method.reply])).share();
        let params = generics::type_params(&generics);
        let unused = params
            .iter()
            .filter(|it| !in_fields.contains(it))
            .cloned()
            .collect();
        let (name, (_, args, _)) = (&message.name, generics.split_for_impl());
        let ty = quote!(#name #args);
        Self {
            ty,
            params,
            new: Some(NewPayload {
                method,
                message,
                generics,
                unused,
            }),
        }
    }

    pub(crate) fn as_new(&self) -> Option<&NewPayload<'a>> {
        self.new.as_ref()
    }
}

impl NewPayload<'_> {
    pub(crate) fn span(&self) -> Span {
        shown_at(self.method.name.span())
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.message.fields
    }

    pub(crate) fn type_params(&self) -> Vec<Ident> {
        generics::type_params(&self.generics)
    }

    /// An expression that makes one from variables with the names of the fields.
    pub(crate) fn literal(&self) -> TokenStream {
        let (name, (_, args, _)) = (&self.message.name, self.generics.split_for_impl());
        let args = args.as_turbofish();
        let fields = self.fields().iter().map(|field| &field.name);
        match (self.fields(), self.has_hidden_field()) {
            ([], false) => quote_spanned!(self.span()=> #name #args),
            (_, false) => quote_spanned!(self.span()=> #name #args { #(#fields),* }),
            (_, true) => quote_spanned!(self.span()=> #name #args::new(#(#fields),*)),
        }
    }

    fn definition(&self) -> TokenStream {
        let (vis, cfgs, notes) = (&self.method.vis, &self.method.cfgs, &self.method.notes);
        let NewMessage {
            name,
            fields,
            derives,
        } = self.message;
        let span = self.span();
        let (params, clause) = (&self.generics, &self.generics.where_clause);
        let fields = fields
            .iter()
            .map(|Field { docs, name, ty }| quote_spanned!(span=> #(#docs)* pub #name: #ty,));
        let hidden = self.has_hidden_field().then(|| {
            let unused = &self.unused;
            quote_spanned! {span=>
                #[doc(hidden)]
                pub __types: ::core::marker::PhantomData<fn() -> (#(#unused,)*)>,
            }
        });
        let body = if self.fields().is_empty() && !self.has_hidden_field() {
            quote_spanned!(span=> #clause;)
        } else {
            quote_spanned!(span=> #clause { #(#fields)* #hidden })
        };
        let derives = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
        quote_spanned! {span=>
            #(#cfgs)*
            #(#notes)*
            #derives
            #[allow(dead_code, missing_docs, missing_debug_implementations, unreachable_pub)]
            #[allow(private_bounds, private_interfaces)]
            #vis struct #name #params #body
        }
    }

    /// A literal cannot be written outside where a field is hidden.
    fn constructor(&self) -> TokenStream {
        let (name, cfgs) = (&self.message.name, &self.method.cfgs);
        let (params, args, clause) = self.generics.split_for_impl();
        let fields: Vec<_> = self.fields().iter().map(|field| &field.name).collect();
        let types = self.fields().iter().map(|field| &field.ty);
        quote_spanned! {self.span()=>
            #(#cfgs)*
            #[allow(dead_code, deprecated, unreachable_pub)]
            impl #params #name #args #clause {
                /// Makes the message of its fields.
                #[must_use]
                pub fn new(#(#fields: #types),*) -> Self {
                    Self { #(#fields,)* __types: ::core::marker::PhantomData }
                }
            }
        }
    }

    fn message_impl(&self) -> TokenStream {
        let (name, cfgs, reply) = (&self.message.name, &self.method.cfgs, &self.method.reply);
        let mut generics = self.generics.clone();
        generics::require(
            &mut generics,
            &self.type_params(),
            &generics::message_bounds(),
        );
        let (params, args, clause) = generics.split_for_impl();
        quote_spanned! {self.span()=>
            #(#cfgs)*
            #[automatically_derived]
            #[allow(deprecated)]
            #[diagnostic::do_not_recommend]
            impl #params ::actors_core::Message for #name #args #clause {
                type Reply = #reply;
            }
        }
    }

    fn has_hidden_field(&self) -> bool {
        !self.unused.is_empty()
    }
}

impl ToTokens for NewPayload<'_> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.definition());
        if self.has_hidden_field() {
            tokens.extend(self.constructor());
        }
        tokens.extend(self.message_impl());
    }
}
