package kafkatest

import "syscall"

// dying has a process die with the thread that started it, even if the test is
// killed.
var dying = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
