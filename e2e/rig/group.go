package rig

import "syscall"

// ownGroup keeps an interrupt at the terminal away from a process: we end it ourselves.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
