// Package cloud is what the lab's cloud APIs have in common: the gate that
// every call passes (the log of calls, the faults asked for, the barrier that
// holds one of them), the time that things take, the tables that hold a
// cloud's resources, and the servers and balancers that stand behind them. It
// knows no cloud's API.
package cloud
