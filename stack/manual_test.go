package stack

import "testing"

func TestTheManualIsCurrent(t *testing.T) { compare(t, "../docs/stack-file.md", Manual()) }
