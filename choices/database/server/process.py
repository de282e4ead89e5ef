    def start(self) -> None:
        """Start it, on the port that it had before; wait until it answers."""
        port = self.port
        for _ in range(5):  # another program may take the port first
            self.port = port or _free_port()
            self._process = self._start()
            while self._process.poll() is None:
                if self._is_up():
                    return
                time.sleep(0.05)
        self.port = port
        raise RuntimeError(f"The server does not start:\n{self._log()}")

    def stop(self, how: signal.Signals = SHUT_DOWN) -> None:
        """Stop it, in an orderly way by default; SIGKILL simulates a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Stop it, and remove its data."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _log(self) -> str:
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")


def _directory() -> Path:
    # In memory, where there is enough: a commit is then cheap. What is tested is a crash
    # of the server, not of the machine.
    memory = "TMPDIR" not in os.environ and os.path.isdir("/dev/shm")
    memory = memory and shutil.disk_usage("/dev/shm").free > 4 * 2**30
    place = "/dev/shm" if memory else None
    return Path(tempfile.mkdtemp(prefix="chat_store_", dir=place))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
