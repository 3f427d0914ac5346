//! The processes of a network's replicas.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use daruma_rpc_api::NodeApiClient;
use daruma_rpc_client::Connection;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::CliError;
use super::folder::{NetworkFolder, Replica};

/// How long all replicas may take to stop before they are killed.
const STOP_MAX: Duration = Duration::from_secs(15);

/// How long to wait before a replica that has ended is started again, so that one that cannot start
/// does not keep the machine busy.
const RESPAWN_PAUSE: Duration = Duration::from_secs(1);

/// How often a replica that is starting is asked whether it is healthy.
const HEALTH_PERIOD: Duration = Duration::from_millis(100);

/// Something that happened to a replica.
pub(super) enum Event {
    /// Its process has ended.
    Ended { index: usize, how: String },
    /// It was started again.
    Started { index: usize },
}

/// What the tasks that look after the processes report.
enum Report {
    Ended {
        index: usize,
        status: io::Result<ExitStatus>,
    },
    /// The pause before the next start is over.
    Rested {
        index: usize,
    },
}

/// A process that was started and has not been reported as ended.
struct Process {
    pid: Option<u32>,
    /// The replica stops when this is closed: by us, or by the system when we end.
    input: Option<ChildStdin>,
    kill: Option<oneshot::Sender<()>>,
}

/// The processes of all replicas.
pub(super) struct Replicas {
    commands: Vec<Launch>,
    running: Vec<Option<Process>>,
    reports: JoinSet<Report>,
    respawn: bool,
}

/// How one replica is started.
struct Launch {
    name: String,
    url: String,
    program: PathBuf,
    chain: PathBuf,
    config: PathBuf,
    log: PathBuf,
}

impl Replicas {
    /// Starts a process for each replica.
    pub(super) fn start(folder: &NetworkFolder, respawn: bool) -> Result<Self, CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::failed(format!("cannot find this program: {error}")))?;
        let launch = |replica: &Replica| Launch {
            name: replica.name.clone(),
            url: replica.rpc_url(),
            program: program.clone(),
            chain: folder.chain.clone(),
            config: replica.config.clone(),
            log: replica.log.clone(),
        };
        let commands: Vec<Launch> = folder.replicas.iter().map(launch).collect();
        let running = commands.iter().map(|_| None).collect();
        let mut replicas = Self { commands, running, reports: JoinSet::new(), respawn };
        for index in 0..replicas.commands.len() {
            replicas.spawn(index)?;
        }
        Ok(replicas)
    }

    /// The process of one replica, if it runs.
    pub(super) fn pid(&self, index: usize) -> Option<u32> {
        self.running.get(index)?.as_ref()?.pid
    }

    fn spawn(&mut self, index: usize) -> Result<(), CliError> {
        let (Some(command), Some(running)) =
            (self.commands.get(index), self.running.get_mut(index))
        else {
            return Ok(());
        };
        let mut child = command
            .spawn()
            .map_err(|error| CliError::failed(format!("cannot start {}: {error}", command.name)))?;
        let (kill, killed) = oneshot::channel();
        *running = Some(Process { pid: child.id(), input: child.stdin.take(), kill: Some(kill) });
        self.reports
            .spawn(async move { Report::Ended { index, status: ended(child, killed).await } });
        Ok(())
    }

    /// The next thing that happens. With no process left it waits for ever.
    pub(super) async fn next(&mut self) -> Event {
        loop {
            match self.reports.join_next().await {
                None => std::future::pending().await,
                // No task here panics or is aborted.
                Some(Err(_)) => {}
                Some(Ok(Report::Ended { index, status })) => return self.note_end(index, status),
                Some(Ok(Report::Rested { index })) => match self.spawn(index) {
                    Ok(()) => return Event::Started { index },
                    Err(error) => {
                        self.rest(index);
                        return Event::Ended { index, how: error.to_string() };
                    }
                },
            }
        }
    }

    fn note_end(&mut self, index: usize, status: io::Result<ExitStatus>) -> Event {
        if let Some(running) = self.running.get_mut(index) {
            *running = None;
        }
        if self.respawn {
            self.rest(index);
        }
        let how = match status {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        Event::Ended { index, how }
    }

    fn rest(&mut self, index: usize) {
        self.reports.spawn(async move {
            sleep(RESPAWN_PAUSE).await;
            Report::Rested { index }
        });
    }

    /// Waits until every replica says that it is healthy. A replica that ends before is an error.
    pub(super) async fn healthy(&mut self, max: Duration) -> Result<(), CliError> {
        let deadline = Instant::now() + max;
        let urls: Vec<String> = self.commands.iter().map(|command| command.url.clone()).collect();
        let all = futures::future::join_all(urls.iter().map(|url| until_healthy(url, deadline)));
        let answers = tokio::select! {
            answers = all => answers,
            event = self.next() => return Err(self.ended_early(event)),
        };
        let problems = answers.into_iter().zip(&self.commands).filter_map(|(answer, command)| {
            let log = command.log.display();
            answer.err().map(|why| format!("{}: {why}; its log: {log}", command.name))
        });
        let problems: Vec<String> = problems.collect();
        if problems.is_empty() {
            return Ok(());
        }
        let seconds = max.as_secs();
        Err(CliError::failed(format!("not healthy after {seconds} s: {}", problems.join("; "))))
    }

    fn ended_early(&self, event: Event) -> CliError {
        let (Event::Ended { index, .. } | Event::Started { index }) = event;
        let Some(command) = self.commands.get(index) else { return CliError::Told };
        let log = fs::read_to_string(&command.log).unwrap_or_default();
        let last = log.lines().last().unwrap_or("it wrote no log").trim_start_matches("error: ");
        CliError::failed(format!("{} has ended at once: {last}", command.name))
    }

    /// Stops all processes, and returns when there are none.
    pub(super) async fn stop(mut self) {
        self.respawn = false;
        // The end of its input tells a replica to stop.
        for process in self.running.iter_mut().flatten() {
            process.input = None;
        }
        let deadline = Instant::now() + STOP_MAX;
        while let Ok(Some(_)) = timeout_at(deadline, self.reports.join_next()).await {}
        for process in self.running.iter_mut().flatten() {
            if let Some(kill) = process.kill.take() {
                // Nobody listens if it has ended by now.
                let _ = kill.send(());
            }
        }
        while self.reports.join_next().await.is_some() {}
    }
}

impl Launch {
    fn spawn(&self) -> io::Result<Child> {
        let log = self.open_log()?;
        Command::new(&self.program)
            .arg("run")
            .arg("--chain")
            .arg(&self.chain)
            .arg("--config")
            .arg(&self.config)
            .arg("--exit-with-parent")
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C is for this process, which then stops the others in its own way.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    fn open_log(&self) -> io::Result<File> {
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder)?;
        }
        OpenOptions::new().create(true).append(true).open(&self.log)
    }
}

async fn ended(mut child: Child, killed: oneshot::Receiver<()>) -> io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => status,
        // Also when the sender is dropped, which happens after the process has ended only.
        Ok(()) = killed => {
            child.start_kill()?;
            child.wait().await
        }
    }
}

/// Asks until the answer is yes; at the deadline, says what the last answer was.
async fn until_healthy(url: &str, deadline: Instant) -> Result<(), String> {
    let mut last = "no answer".to_owned();
    while Instant::now() < deadline {
        let asked = async {
            let connection = Connection::open(url).await.map_err(|error| error.to_string())?;
            connection.node_health().await.map_err(|error| error.to_string())
        };
        match timeout_at(deadline, asked).await {
            Ok(Ok(health)) if health.ready => return Ok(()),
            Ok(Ok(health)) => last = health.reasons.join(", "),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
        sleep(HEALTH_PERIOD).await;
    }
    Err(last)
}
