//! The plugin: one value on a client serves it and all workers made from it.
//!
//! Invariant: registering never fails, and a disabled plugin registers nothing.

use std::sync::{Arc, Mutex, PoisonError};

use omnitrace_store::row::RunKey;
use temporalio_client::{
    ClientInterceptor, ClientOptions, ClientPlugin, ConnectionOptions, ErasedClientPlugin,
    PluginError,
};
use temporalio_common::data_converters::DataConverter;
use temporalio_sdk::{
    ClientAndWorkerPlugin, WorkerOptions, WorkerPlugin, workflow_replayer::WorkflowReplayerOptions,
};

use super::client::ContextWriter;
use super::worker::{Origin, WorkerRecorder};
use super::{ActivityRecorder, workflow};
use crate::history::Reach;
use crate::omnitrace::{DEFAULT_NAMESPACE, Recording};

const NAME: &str = "omnitrace";

/// Registers OmniTrace on a client and its workers. Made by [`crate::OmniTrace::plugin`]; each
/// client needs one of its own.
///
/// On a `WorkflowReplayer` it records nothing: see [`ReplayPlugin`].
#[derive(Debug)]
pub struct OmniTracePlugin {
    recording: Option<Recording>,
    client: Mutex<Option<(String, DataConverter)>>,
    /// Known only of a client that was made by `Client::connect`.
    connection: Mutex<Option<ConnectionOptions>>,
}

impl OmniTracePlugin {
    pub(crate) fn new(recording: Option<Recording>) -> Self {
        Self {
            recording,
            client: Mutex::new(None),
            connection: Mutex::new(None),
        }
    }
}

impl From<OmniTracePlugin> for ErasedClientPlugin {
    fn from(plugin: OmniTracePlugin) -> Self {
        ClientAndWorkerPlugin::new(plugin).into()
    }
}

impl ClientPlugin for OmniTracePlugin {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_connection_options(
        &self,
        options: &mut ConnectionOptions,
    ) -> Result<(), PluginError> {
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *connection = Some(options.clone());
        Ok(())
    }

    fn configure_client_options(&self, options: &mut ClientOptions) -> Result<(), PluginError> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let (Some(recording), Some(connection)) = (&self.recording, &*connection) {
            let mut client = ClientOptions::new(options.namespace.clone()).build();
            client.data_converter = options.data_converter.clone();
            let reach = Reach::Options(Box::new(connection.clone()), Box::new(client));
            recording.background.start(reach);
        }
        if let Some(recording) = &self.recording {
            let baggage = recording.switches.baggage().clone();
            let writer: Arc<dyn ClientInterceptor> = Arc::new(ContextWriter { baggage });
            options.client_interceptors.push(writer);
        }
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        *client = Some((options.namespace.clone(), options.data_converter.clone()));
        Ok(())
    }
}

impl WorkerPlugin for OmniTracePlugin {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_worker_options(&self, options: &mut WorkerOptions) -> Result<(), PluginError> {
        let Some(recording) = &self.recording else {
            return Ok(());
        };
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let (namespace, converter) = match &*client {
            Some((namespace, converter)) => (namespace.clone(), Some(converter.clone())),
            // Registered on a worker alone, against its documentation.
            None => (DEFAULT_NAMESPACE.to_owned(), None),
        };
        let origin = Origin::new(namespace, converter, None);
        options.worker_interceptor(WorkerRecorder::new(origin, recording));
        options.activity_inbound_interceptor(ActivityRecorder::new(recording));
        options.workflow_interceptor(workflow::constructor(recording.switches.clone(), None));
        Ok(())
    }

    fn configure_workflow_replayer_options(
        &self,
        options: &mut WorkflowReplayerOptions,
    ) -> Result<(), PluginError> {
        if let Some(recording) = &self.recording {
            options.workflow_interceptor(workflow::constructor(recording.switches.clone(), None));
        }
        Ok(())
    }
}

/// Records what a `WorkflowReplayer` replays, as the run that it stands for: the replayer's own
/// ids are made up. Made by [`crate::OmniTrace::replay_plugin`].
#[derive(Debug)]
pub struct ReplayPlugin {
    recording: Option<Recording>,
    run: RunKey,
}

impl ReplayPlugin {
    pub(crate) fn new(recording: Option<Recording>, run: RunKey) -> Self {
        Self { recording, run }
    }
}

impl WorkerPlugin for ReplayPlugin {
    fn name(&self) -> &str {
        NAME
    }

    fn configure_workflow_replayer_options(
        &self,
        options: &mut WorkflowReplayerOptions,
    ) -> Result<(), PluginError> {
        if let Some(recording) = &self.recording {
            let converter = options.data_converter.clone();
            // The replayer makes this up, too, and workflows put it into commands.
            options.namespace.clone_from(&self.run.namespace);
            let origin = Origin::new(
                self.run.namespace.clone(),
                Some(converter),
                Some(self.run.clone()),
            );
            origin.set_task_queue(&options.task_queue);
            options.worker_interceptor(WorkerRecorder::new(origin, recording));
            options.workflow_interceptor(workflow::constructor(
                recording.switches.clone(),
                Some(self.run.clone()),
            ));
        }
        Ok(())
    }
}

/// The parts of the plugin for those who register them one by one.
pub(crate) fn worker_recorder(recording: &Recording, namespace: &str) -> WorkerRecorder {
    let origin = Origin::new(namespace.to_owned(), None, None);
    WorkerRecorder::new(origin, recording)
}

pub(crate) fn activity_recorder(recording: &Recording) -> ActivityRecorder {
    ActivityRecorder::new(recording)
}
