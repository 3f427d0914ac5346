//! The `app_` methods.

use std::sync::Arc;

use daruma_automaton_api::QueryError;
use daruma_rpc_api::{AppApiServer, AppInfo, ErrorKind, Hex, Number, QueryAnswer, RpcFailure};
use jsonrpsee::core::{RpcResult, async_trait};
use serde_json::Value;

use crate::context::{Context, Work, ledger_failed};

/// Answers the `app_` methods.
pub(crate) struct AppMethods(pub(crate) Arc<Context>);

#[async_trait]
impl AppApiServer for AppMethods {
    async fn info(&self) -> RpcResult<AppInfo> {
        let backend = &self.0.backend;
        Ok(AppInfo {
            name: backend.automaton.name().to_owned(),
            version: backend.automaton.version(),
            parameters: backend.spec.automaton().parameters_json(),
            query_paths: backend.automaton.query_paths(),
            operation_bytes_max: backend.spec.limits().operation_bytes_max,
        })
    }

    async fn query(&self, path: String, data: Option<Value>) -> RpcResult<QueryAnswer> {
        let query = self.0.blocking(Work::Query, move |context, ledger| {
            let data = data.unwrap_or(Value::Null);
            let view = ledger.state_view().map_err(ledger_failed)?;
            let statement = view.head().statement;
            let answer = context.backend.automaton.query(&view, &path, &data);
            // A failed read looks like an absent key to the query, so this comes before its answer.
            view.finish().map_err(ledger_failed)?;
            let value = answer.map_err(query_failed)?;
            let (height, state_root) = (Number(statement.height.0), Hex(statement.state_root));
            Ok(QueryAnswer { value, height, state_root })
        });
        Ok(query.await?)
    }
}

fn query_failed(error: QueryError) -> RpcFailure {
    let message = error.to_string();
    match error {
        QueryError::UnknownPath { paths, .. } => {
            let mut failure = RpcFailure::new(ErrorKind::UnknownPath, message);
            failure.data.paths = Some(paths);
            failure
        }
        QueryError::BadRequest { reason } => {
            let mut failure = RpcFailure::new(ErrorKind::QueryFailed, message);
            failure.data.log = Some(reason);
            failure
        }
        QueryError::Failed { code, reason } => {
            let mut failure = RpcFailure::new(ErrorKind::QueryFailed, message);
            failure.data.code = Some(code);
            failure.data.log = Some(reason);
            failure
        }
    }
}
