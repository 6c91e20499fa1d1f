//go:build e2e

package e2e

// looks reads what containers print and use, and runs commands in them and on their servers.
func (v *voyage) looks(version string) {
	v.t.Helper()
	v.says(v.ship(0, "logs", "app", "--tail", "5"), "blue[0] app.1 |", "green[0] app.3 |", version+" listens on :8080")
	v.says(v.ship(0, "logs", "--json", "--grep", "listens", "--server", "blue"), `"type":"log_line"`, `"service":"app"`)
	v.says(v.ship(0, "exec", "proxy", "--", "sh", "-c", "echo this is $(id -un)"), "this is root")
	v.ship(3, "exec", "proxy", "--server", "green[0]", "--", "sh", "-c", "exit 3")
	v.says(v.ship(1, "exec", "nothing", "--server", "blue", "--", "true"), "runs no service \"nothing\"")
	v.says(v.ship(0, "ssh", "blue", "--", "hostname"), "blue-0")
	v.ship(4, "ssh", "green[0]", "--", "sh", "-c", "exit 4")
	v.says(v.ship(0, "stats"), "group.green.server[0]", "app.2")
	v.says(v.ship(0, "run-hook", "proxy", "proxy-1", "--server", "green"), "test is successful", "hook proxy-1 of proxy: done")
	v.says(v.ship(0, "doctor"), "ok   docker", "ok   key", "ok   provider digitalocean")
}
