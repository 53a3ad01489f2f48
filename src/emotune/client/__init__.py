"""Clients of ``emotune serve``: the same answers as from a model that is loaded here. Extra ``client``."""

from emotune.client.asynchronous import AsyncClient
from emotune.client.jobs import AsyncJob, Job, JobStatus
from emotune.client.synchronous import Client

__all__ = ["AsyncClient", "AsyncJob", "Client", "Job", "JobStatus"]
