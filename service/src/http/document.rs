//! OpenAPI document, made from the types of the operations.

use super::idempotency::KEY_MAX_BYTES;
use super::problem::{MEDIA_TYPE, Problem};
use crate::api::{self, Access, Method, Operation, Visitor};
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, Paths, Ref, RefOr,
    Required, ResponseBuilder,
};

/// Returns the OpenAPI document of a socket: its operations for hosts, or all.
#[must_use]
pub fn document(access: Access) -> OpenApi {
    let mut builder = Document { access, paths: Paths::new(), schemas: Vec::new() };
    builder.schema::<Problem>();
    api::visit(&mut builder);
    let info = InfoBuilder::new().title("Sexton").version(env!("CARGO_PKG_VERSION")).build();
    OpenApiBuilder::new()
        .info(info)
        .paths(builder.paths)
        .components(Some(ComponentsBuilder::new().schemas_from_iter(builder.schemas).build()))
        .build()
}

struct Document {
    access: Access,
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Document {
    /// Adds the schema of a type, and of those it refers to. Returns a reference to it.
    fn schema<T: ToSchema>(&mut self) -> Ref {
        let name = T::name().into_owned();
        self.schemas.push((name.clone(), T::schema()));
        T::schemas(&mut self.schemas);
        Ref::from_schema_name(name)
    }
}

impl Visitor for Document {
    fn operation<O: Operation>(&mut self) {
        if self.access == Access::Host && O::ACCESS == Access::Control {
            return;
        }
        let answer = self.schema::<O::Answer>();
        let problem = Ref::from_schema_name(Problem::name());
        let response = |media_type, schema: Ref, text: &str| {
            let content = ContentBuilder::new().schema(Some(schema)).build();
            ResponseBuilder::new().description(text).content(media_type, content).build()
        };
        let mut operation = OperationBuilder::new()
            .operation_id(Some(O::NAME))
            .summary(Some(O::SUMMARY))
            .response("200", response("application/json", answer, "Done"))
            .response("4XX", response(MEDIA_TYPE, problem.clone(), "Refused: nothing was changed"))
            .response("5XX", response(MEDIA_TYPE, problem, "Failed"));
        let method = match O::METHOD {
            Method::Get => {
                operation = operation.parameters(Some(query::<O>()));
                HttpMethod::Get
            }
            Method::Post => {
                let content = ContentBuilder::new().schema(Some(self.schema::<O>())).build();
                let body = RequestBodyBuilder::new()
                    .required(Some(Required::True))
                    .content("application/json", content);
                let key = ParameterBuilder::new()
                    .name("Idempotency-Key")
                    .parameter_in(ParameterIn::Header)
                    .required(Required::False)
                    .schema(Some(idempotency_key()))
                    .description(Some("Unique key of the request. A repeated one gets the earlier answer."));
                operation = operation.request_body(Some(body.build())).parameter(key);
                HttpMethod::Post
            }
        };
        self.paths.paths.insert(O::PATH.to_owned(), PathItem::new(method, operation));
    }
}

/// Returns the schema of an idempotency key.
fn idempotency_key() -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String);
    Schema::Object(text.pattern(Some(format!("^[!-~]{{1,{KEY_MAX_BYTES}}}$"))).build())
}

/// Returns the fields of a request as parameters of a query.
fn query<O: Operation>() -> Vec<utoipa::openapi::path::Parameter> {
    let RefOr::T(Schema::Object(object)) = O::schema() else {
        return Vec::new();
    };
    let parameters = object.properties.iter().map(|(name, schema)| {
        let required = if object.required.contains(name) { Required::True } else { Required::False };
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(required)
            .schema(Some(without_null(schema.clone())))
            .build()
    });
    parameters.collect()
}

/// Returns a schema without `null`: a query leaves a field out instead.
fn without_null(schema: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = schema else {
        return schema;
    };
    if let SchemaType::Array(types) = &object.schema_type {
        let types: Vec<Type> = types.iter().filter(|kind| **kind != Type::Null).cloned().collect();
        object.schema_type = SchemaType::Array(types);
    }
    RefOr::T(Schema::Object(object))
}
