package stack

import (
	"bytes"
	"fmt"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// Format lays out a stack file as 'cloudship fmt' does: two spaces a level, equal signs in a row,
// one newline at the end. What cannot be parsed is laid out as well as can be.
func Format(src []byte) []byte {
	out := bytes.TrimRight(hclwrite.Format(src), " \t\r\n")
	if len(out) == 0 {
		return out
	}
	return append(out, '\n')
}

// InitFile is a file that 'cloudship init' writes.
type InitFile struct {
	Name    string
	Content string
	Append  bool // its lines are added to a file that is there, where they are missing
}

// InitFiles are a first stack file for a provider, and what keeps secrets and state out of the
// repository.
func InitFiles(name, provider string) []InitFile {
	return []InitFile{
		{Name: File, Content: fmt.Sprintf(starter, name, provider)},
		{Name: ".gitignore", Content: ignore, Append: true},
	}
}

const ignore = `cloudship.state/
*.plan
*.auto.vars.hcl
`

const starter = `# What this stack is: 'cloudship plan' shows what it takes and what it costs, 'cloudship apply'
# does it. Try it without an account: 'cloudship lab up', then eval "$(cloudship lab env)".

stack "%[1]s" {}

# A value from outside: --var tag=v2, or CLOUDSHIP_VAR_tag=v2 in the environment.
# With sensitive = true it is never shown.
variable "tag" {
  default = "latest"
}

# The cloud. Credentials come from its environment variables, never from this file.
provider "%[2]s" {}

# Your application: a Compose file in which ${TAG} is var.tag.
template "web" {
  compose = "compose.yaml"
  inputs  = { TAG = var.tag }
}

# Two groups of equal servers: one is live, the other idle and next.
group "blue" {
  provider = "%[2]s"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" } # or the cloud's own name in quotes
  image    = "debian-12"
  template = "web"
}

group "green" {
  provider = "%[2]s"
  servers  = group.blue.servers
  size     = group.blue.size
  image    = group.blue.image
  template = "web"
}

# Traffic goes to the first group until a switch says otherwise.
load_balancer "www" {
  provider = "%[2]s"
  groups   = [group.blue, group.green]

  listener "http" {
    port        = 80
    target_port = 80
  }

  health_check {
    path = "/"
  }

  switch {
    watch = "1m" # after a switch; it switches back by itself when the new group misbehaves
    probe {
      path = "/"
    }
  }
}

output "address" {
  value = "http://${load_balancer.www.ip}/"
}
`
