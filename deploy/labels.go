package deploy

import (
	"strconv"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
)

// Labels of everything that we make in an engine. Compose's own stand beside ours, so that
// `docker compose ps` on a server still works.
const (
	labelStack   = "cloudship.stack"
	labelGroup   = "cloudship.group"
	labelRelease = "cloudship.release"
	labelConfig  = "cloudship.config" // digest of what a container was made from

	composeProject = "com.docker.compose.project"
	composeService = "com.docker.compose.service"
	composeNumber  = "com.docker.compose.container-number"
	composeOneOff  = "com.docker.compose.oneoff"
	composeHash    = "com.docker.compose.config-hash"
	composeNetwork = "com.docker.compose.network"
	composeVolume  = "com.docker.compose.volume"
)

// ours selects what belongs to a stack.
func ours(stack resource.StackID) client.Filters {
	return make(client.Filters).Add("label", labelStack+"="+string(stack))
}

// numberOf is a container's number among its service's, from 1.
func numberOf(labels map[string]string) int {
	n, _ := strconv.Atoi(labels[composeNumber])
	return n
}
