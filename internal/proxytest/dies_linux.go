package proxytest

import "syscall"

// diesWithUs has the kernel send a signal when the test's process is gone. For
// nginx it must be one that its master passes on to the workers.
func diesWithUs(signal syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: signal}
}

// itsOwnGroup lets a program be ended together with the processes it starts.
func itsOwnGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
