//go:build unix && !linux

package proxytest

import "syscall"

func diesWithUs(syscall.Signal) *syscall.SysProcAttr { return nil }

func itsOwnGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
