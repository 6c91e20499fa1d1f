# Reads /proc, the control groups and what Docker keeps of its containers (their config.v2.json are
# the arguments), and prints either one line for the history or Prometheus's text format.
#
#	mode   line or metrics
#	root   before every path, for tests
#	stack  whose containers are in a line
#	now    seconds since 1970
#	fs     of the root file system: block size, blocks, blocks for users, inodes, free inodes

# The first line of a file, "" where there is none.
function head(file,    line) {
	line = ""
	if ((getline line < file) <= 0) line = ""
	close(file)
	return line
}

# The value of a key in a file of keys and values.
function value(file, key,    line, part, found) {
	found = ""
	while ((getline line < file) > 0) {
		split(line, part, " ")
		if (part[1] == key || part[1] == key ":") { found = part[2]; break }
	}
	close(file)
	return found
}

# The text between a mark and the next quote. Quotes in values of JSON are escaped, so that a mark
# with two quotes in it is found as a key only.
function text(from, mark,    at, rest) {
	at = index(from, mark)
	if (!at) return ""
	rest = substr(from, at + length(mark))
	return substr(rest, 1, index(rest, "\"") - 1)
}

# The number behind a mark.
function number(from, mark,    at) {
	at = index(from, mark)
	if (!at) return 0
	return substr(from, at + length(mark), 20) + 0
}

function int0(x) { return sprintf("%.0f", x + 0) }

# Where a process's group of a controller is ("" for all of them in one tree). A path that is told
# from outside of where we are loses what is outside. Groups that a container made inside of itself
# belong to it.
function group(pid, id, controller, probe,    file, line, part, path, base, found, slash, at) {
	file = root "/proc/" pid "/cgroup"; path = ""; base = ""
	while ((getline line < file) > 0) {
		split(line, part, ":")
		if (index("," part[2] ",", "," controller ",")) { path = part[3]; base = root "/sys/fs/cgroup/" controller; break }
		if (line ~ /^0::/) { path = part[3]; base = root "/sys/fs/cgroup" }
	}
	close(file)
	if (base == "") return ""
	at = index(path, id)
	if (at) {
		slash = index(substr(path, at), "/")
		if (slash) path = substr(path, 1, at + slash - 2)
	}
	where = path
	for (;;) {
		found = base path
		if (head(found "/" probe) != "" || head(found "/cgroup.procs") != "") return found
		slash = index(substr(path, 2), "/")
		if (!slash) return ""
		path = substr(path, slash + 1)
	}
}

# Bytes received and sent through all interfaces but the loopback, of a process's network.
function network(file, who,    line, part, name) {
	netin = 0; netout = 0
	while ((getline line < file) > 0) {
		if (!sub(/:/, " ", line)) continue
		split(line, part, " ")
		name = part[1]
		if (name == "lo") continue
		netin += part[2]; netout += part[10]
		if (who == "server") { interfaces[++links] = name; received[links] = part[2]; sent[links] = part[10] }
	}
	close(file)
}

# Bytes read and written by a group.
function blocks(file, version,    line, part, i) {
	bytesread = 0; byteswritten = 0
	while ((getline line < file) > 0) {
		split(line, part, " ")
		if (version == 1 && part[2] == "Read") bytesread += part[3]
		if (version == 1 && part[2] == "Write") byteswritten += part[3]
		for (i in part) {
			if (part[i] ~ /^rbytes=/) bytesread += substr(part[i], 8)
			if (part[i] ~ /^wbytes=/) byteswritten += substr(part[i], 8)
		}
	}
	close(file)
}

function container(file,    json, line, id, pid, dir) {
	json = ""
	while ((getline line < file) > 0) json = json line
	close(file)
	pid = number(json, "\"Pid\":")
	if (!index(json, "\"Running\":true") || !pid) return
	id = file; sub(/\/config\.v2\.json$/, "", id); sub(/.*\//, "", id)
	n++
	ids[n] = id
	name[n] = text(json, "\"Name\":\"/")
	project[n] = text(json, "\"com.docker.compose.project\":\"")
	service[n] = text(json, "\"com.docker.compose.service\":\"")
	which[n] = text(json, "\"com.docker.compose.container-number\":\"")
	owner[n] = text(json, "\"cloudship.stack\":\"")
	dir = group(pid, id, "memory", "memory.usage_in_bytes")
	path[n] = where
	if (head(dir "/memory.current") != "") {
		used[n] = head(dir "/memory.current"); cache[n] = value(dir "/memory.stat", "inactive_file")
		most[n] = head(dir "/memory.max"); if (most[n] == "max") most[n] = 0
		cpu[n] = value(dir "/cpu.stat", "usage_usec")
		ooms[n] = value(dir "/memory.events", "oom_kill")
		pids[n] = head(dir "/pids.current")
		blocks(dir "/io.stat", 2)
	} else {
		used[n] = head(dir "/memory.usage_in_bytes"); cache[n] = value(dir "/memory.stat", "total_inactive_file")
		most[n] = head(dir "/memory.limit_in_bytes"); if (most[n] + 0 > 4e18) most[n] = 0
		ooms[n] = value(dir "/memory.oom_control", "oom_kill")
		cpu[n] = head(group(pid, id, "cpuacct", "cpuacct.usage") "/cpuacct.usage") / 1000
		pids[n] = head(group(pid, id, "pids", "pids.current") "/pids.current")
		blocks(group(pid, id, "blkio", "blkio.throttle.io_service_bytes_recursive") "/blkio.throttle.io_service_bytes_recursive", 1)
	}
	working[n] = used[n] - cache[n]; if (working[n] < 0) working[n] = 0
	reads[n] = bytesread; writes[n] = byteswritten
	network(root "/proc/" pid "/net/dev", "")
	ins[n] = netin; outs[n] = netout
}

# What the server itself has and uses. One that is a container itself has what that may use.
function server(    line, part, i, limit, dir, has) {
	split(head(root "/proc/loadavg"), load, " ")
	while ((getline line < (root "/proc/meminfo")) > 0) { split(line, part, " "); sub(/:/, "", part[1]); memory[part[1]] = part[2] * 1024 }
	close(root "/proc/meminfo")
	while ((getline line < (root "/proc/stat")) > 0) {
		split(line, part, " ")
		if (part[1] == "cpu") { for (i = 2; i <= 9; i++) ticks += part[i]; idle = part[5] + part[6] }
		else if (part[1] ~ /^cpu[0-9]/) { for (i = 2; i <= 9; i++) time[cpus, i] = part[i]; cpus++ }
		else if (part[1] == "btime") boot = part[2]
	}
	close(root "/proc/stat")
	oom = value(root "/proc/vmstat", "oom_kill")
	dir = root "/sys/fs/cgroup"; limit = head(dir "/memory.max"); has = "memory.current"
	if (limit == "") { dir = dir "/memory"; limit = head(dir "/memory.limit_in_bytes"); has = "memory.usage_in_bytes" }
	if (limit != "" && limit != "max" && limit + 0 < memory["MemTotal"]) {
		i = head(dir "/" has) - value(dir "/memory.stat", has == "memory.current" ? "inactive_file" : "total_inactive_file")
		memory["MemTotal"] = limit; memory["MemAvailable"] = limit - i
		oom = has == "memory.current" ? value(dir "/memory.events", "oom_kill") : value(dir "/memory.oom_control", "oom_kill")
	}
	network(root "/proc/net/dev", "server")
	serverin = netin; serverout = netout
	split(fs, disk, " ")
}

function history(    i, s) {
	s = "s1 " now " " load[1] " " cpus + 0 " " int0(ticks) " " int0(idle) " " int0(memory["MemTotal"]) " " int0(memory["MemAvailable"])
	s = s " " int0(memory["SwapTotal"]) " " int0(memory["SwapFree"]) " " int0(disk[1] * disk[2]) " " int0(disk[1] * disk[3]) " " int0(disk[4]) " " int0(disk[5])
	s = s " " int0(oom) " " int0(serverin) " " int0(serverout)
	for (i = 1; i <= n; i++) {
		if (owner[i] != stack || service[i] == "" || service[i] ~ /[^A-Za-z0-9._-]/) continue
		s = s " | " service[i] " " int0(which[i]) " " substr(ids[i], 1, 12) " " int0(cpu[i]) " " int0(working[i]) " " int0(most[i])
		s = s " " int0(ins[i]) " " int0(outs[i]) " " int0(reads[i]) " " int0(writes[i]) " " int0(pids[i]) " " int0(ooms[i])
	}
	print s " ."
}

function escaped(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return s }

# One family: its name, what it is, its type.
function family(name, help, type) { print "# HELP " name " " help; print "# TYPE " name " " type; metric = name }

function one(labels, x) { print metric (labels == "" ? "" : "{" labels "}") " " x }

function simple(name, help, type, x) { family(name, help, type); one("", x) }

# A family with a sample for each container.
function each(name, help, type, values, scale,    i) {
	family(name, help, type)
	for (i = 1; i <= n; i++) one(who(i) (name ~ /^container_cpu/ ? ",cpu=\"total\"" : name ~ /^container_network/ ? ",interface=\"all\"" : ""), scale == 1 ? int0(values[i]) : sprintf("%.6f", values[i] * scale))
}

function who(i) {
	return "id=\"" escaped(path[i]) "\",name=\"" escaped(name[i]) "\",container_label_com_docker_compose_project=\"" escaped(project[i]) "\",container_label_com_docker_compose_service=\"" escaped(service[i]) "\""
}

function metrics(    i, j, modes, line, part, device, type, place) {
	simple("node_time_seconds", "System time in seconds since epoch.", "gauge", now)
	simple("node_boot_time_seconds", "Unix time of the last boot.", "gauge", boot + 0)
	simple("node_load1", "1m load average.", "gauge", load[1]); simple("node_load5", "5m load average.", "gauge", load[2]); simple("node_load15", "15m load average.", "gauge", load[3])
	family("node_cpu_seconds_total", "Seconds the CPUs spent in each mode.", "counter")
	split("- user nice system idle iowait irq softirq steal", modes, " ")
	for (i = 0; i < cpus; i++) for (j = 2; j <= 9; j++) one("cpu=\"" i "\",mode=\"" modes[j] "\"", sprintf("%.2f", time[i, j] / 100))
	split("MemTotal MemFree MemAvailable Buffers Cached SwapTotal SwapFree", modes, " ")
	for (i = 1; i <= 7; i++) if (modes[i] in memory) simple("node_memory_" modes[i] "_bytes", "Memory information field " modes[i] "_bytes.", "gauge", int0(memory[modes[i]]))
	simple("node_vmstat_oom_kill", "Processes killed for want of memory since boot.", "untyped", int0(oom))
	while ((getline line < (root "/proc/mounts")) > 0) { split(line, part, " "); if (part[2] == "/") { device = part[1]; type = part[3] } }
	close(root "/proc/mounts")
	place = "device=\"" escaped(device) "\",fstype=\"" escaped(type) "\",mountpoint=\"/\""
	family("node_filesystem_size_bytes", "Filesystem size in bytes.", "gauge"); one(place, int0(disk[1] * disk[2]))
	family("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", "gauge"); one(place, int0(disk[1] * disk[3]))
	family("node_filesystem_files", "Filesystem total file nodes.", "gauge"); one(place, int0(disk[4]))
	family("node_filesystem_files_free", "Filesystem total free file nodes.", "gauge"); one(place, int0(disk[5]))
	family("node_network_receive_bytes_total", "Network device statistic receive_bytes.", "counter")
	for (i = 1; i <= links; i++) one("device=\"" escaped(interfaces[i]) "\"", int0(received[i]))
	family("node_network_transmit_bytes_total", "Network device statistic transmit_bytes.", "counter")
	for (i = 1; i <= links; i++) one("device=\"" escaped(interfaces[i]) "\"", int0(sent[i]))
	j = 0
	while ((getline line < (root "/proc/diskstats")) > 0) {
		split(line, part, " ")
		if (part[3] !~ /^(loop|ram|sr)/ && part[6] + part[10] > 0) { modes[++j] = part[3]; readby[j] = part[6] * 512; writtenby[j] = part[10] * 512 }
	}
	close(root "/proc/diskstats")
	family("node_disk_read_bytes_total", "The total number of bytes read successfully.", "counter")
	for (i = 1; i <= j; i++) one("device=\"" escaped(modes[i]) "\"", int0(readby[i]))
	family("node_disk_written_bytes_total", "The total number of bytes written successfully.", "counter")
	for (i = 1; i <= j; i++) one("device=\"" escaped(modes[i]) "\"", int0(writtenby[i]))
	each("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", "counter", cpu, 0.000001)
	each("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed.", "gauge", used, 1)
	each("container_memory_working_set_bytes", "Current working set in bytes.", "gauge", working, 1)
	each("container_spec_memory_limit_bytes", "Memory limit for the container, 0 for none.", "gauge", most, 1)
	each("container_network_receive_bytes_total", "Cumulative count of bytes received.", "counter", ins, 1)
	each("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted.", "counter", outs, 1)
	each("container_fs_reads_bytes_total", "Cumulative count of bytes read.", "counter", reads, 1)
	each("container_fs_writes_bytes_total", "Cumulative count of bytes written.", "counter", writes, 1)
	each("container_threads", "Number of threads running inside the container.", "gauge", pids, 1)
	each("container_oom_events_total", "Count of out of memory events observed for the container.", "counter", ooms, 1)
}

BEGIN {
	n = 0; links = 0; cpus = 0; ticks = 0; boot = 0
	server()
	for (i = 1; i < ARGC; i++) container(ARGV[i])
	if (mode == "line") history(); else metrics()
}
