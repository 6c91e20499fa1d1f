package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// A BadRelease is the error of a switch to a release that went bad before.
type BadRelease struct {
	Balancer, Release string
}

func (e *BadRelease) Error() string {
	return fmt.Sprintf("load_balancer.%s: release %s was switched or rolled back from before", e.Balancer, e.Release)
}

// HintText says how to do it all the same.
func (e *BadRelease) HintText() string {
	return "release something new, or say --again to switch to it all the same"
}

// Decide says which release each group is to run and which routes move. It is pure: what is live
// stays as it is until its switch, and only the idle group of a pair gets what is new.
//
// A switch that was under way is finished when it is past its commit, or when it is a way back;
// otherwise it is forgotten, and the members go back to the live group as an ordinary difference.
func Decide(s Situation) (Decision, error) {
	d := &deciding{Situation: s, groups: map[string]Group{}, out: Decision{Switches: map[string]resource.Switch{}}}
	for _, g := range s.Groups {
		d.groups[g.Name] = g
	}
	d.out.Intent = carryOver(s)
	if err := d.scale(); err != nil {
		return Decision{}, err
	}
	paired := map[string]bool{}
	var errs []error
	for _, b := range s.Balancers {
		if len(b.Groups) == 2 {
			paired[b.Groups[0]], paired[b.Groups[1]] = true, true
		}
		errs = append(errs, d.balancer(b))
	}
	for _, g := range s.Groups {
		if !paired[g.Name] && d.releasing() {
			d.take(g.Name)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Decision{}, err
	}
	return d.out, nil
}

// deciding is the work on one Decision.
type deciding struct {
	Situation
	groups map[string]Group
	out    Decision
}

// carryOver copies the intent without what the stack file no longer names and without switches:
// those that go on are put back.
func carryOver(s Situation) resource.Intent {
	was := s.Memory.Intent
	intent := resource.Intent{
		Live: map[string]string{}, Releases: map[string]string{}, Bad: map[string][]string{},
		Scale: map[string]map[string]int{}, Switch: map[string]resource.Switch{}, History: slices.Clone(was.History),
	}
	for _, b := range s.Balancers {
		if bad := was.Bad[b.Name]; len(bad) > 0 {
			intent.Bad[b.Name] = slices.Clone(bad)
		}
	}
	for _, g := range s.Groups {
		if g.Template == "" {
			continue
		}
		if id := was.Releases[g.Name]; id != "" {
			intent.Releases[g.Name] = id
		}
		if scale := was.Scale[g.Template]; len(scale) > 0 {
			intent.Scale[g.Template] = maps.Clone(scale)
		}
	}
	return intent
}

// releasing reports whether the command brings candidates to groups; the verbs switch and rollback
// move what is there.
func (d *deciding) releasing() bool { return len(d.Flags.Move) == 0 && len(d.Flags.Rollback) == 0 }

// take gives a group its template's candidate, where there is one.
func (d *deciding) take(group string) {
	if c, ok := d.Candidates[d.groups[group].Template]; ok && d.groups[group].Template != "" {
		d.out.Intent.Releases[group] = c.ID
	}
}

// AsWritten, as a number in Flags.Scale, is what the template says.
const AsWritten = -1

func (d *deciding) scale() error {
	templates := map[string]bool{}
	for _, g := range d.Groups {
		templates[g.Template] = true
	}
	for template, wish := range d.Flags.Scale {
		if template == "" || !templates[template] {
			return fmt.Errorf("scale: no group runs template %q", template)
		}
		for service, n := range wish {
			if n == AsWritten {
				delete(d.out.Intent.Scale[template], service)
				continue
			}
			if n < 0 {
				return fmt.Errorf("scale %s: %s=%d: the number of replicas is 0 or more", template, service, n)
			}
			if d.out.Intent.Scale[template] == nil {
				d.out.Intent.Scale[template] = map[string]int{}
			}
			d.out.Intent.Scale[template][service] = n
		}
		if len(d.out.Intent.Scale[template]) == 0 {
			delete(d.out.Intent.Scale, template)
		}
	}
	return nil
}

// balancer decides for one load balancer and its pair of groups.
func (d *deciding) balancer(b Balancer) error {
	if len(b.Groups) == 0 || len(b.Groups) > 2 {
		return fmt.Errorf("load_balancer.%s: want one or two groups, have %d", b.Name, len(b.Groups))
	}
	established := Established(d.Memory, b.Name)
	live := d.Memory.Intent.Live[b.Name]
	if live != "" && !slices.Contains(b.Groups, live) && established {
		return resource.WithHint(fmt.Errorf("load_balancer.%s: group %s is live and is not among its groups any more", b.Name, live),
			fmt.Sprintf("put it back, run 'cloudship switch %s', then take it out", b.Name))
	}
	if !slices.Contains(b.Groups, live) {
		live = b.Groups[0]
	}
	d.out.Intent.Live[b.Name] = live
	if len(b.Groups) == 1 {
		return d.noTwin(b)
	}
	idle := b.Groups[0]
	if idle == live {
		idle = b.Groups[1]
	}
	if under, ok := d.Memory.Intent.Switch[b.Name]; ok && d.goesOn(b, under) {
		return nil
	}
	if established {
		d.giveUp(idle)
	}
	back, rollback := d.Flags.Rollback[b.Name]
	switch {
	case rollback:
		return d.rollback(b, live, idle, back)
	case d.Flags.Move[b.Name]:
		return d.move(b, live, idle)
	case !d.releasing():
		return nil
	case !established:
		d.take(live)
		d.take(idle)
		return nil
	}
	return d.release(b, live, idle)
}

func (d *deciding) noTwin(b Balancer) error {
	_, rollback := d.Flags.Rollback[b.Name]
	if rollback || d.Flags.Move[b.Name] {
		return resource.WithHint(fmt.Errorf("load_balancer.%s: it has one group; a switch needs two", b.Name),
			"add a second group to its groups, or change the template and run 'cloudship apply'")
	}
	return nil
}

// goesOn takes over a switch that is to be finished.
func (d *deciding) goesOn(b Balancer, under resource.Switch) bool {
	if !slices.Contains(b.Groups, under.From) || !slices.Contains(b.Groups, under.To) {
		return false
	}
	if !under.Back && !under.Committed() {
		d.note("load_balancer.%s: the switch from %s to %s stopped at %s, before its commit: %s stays live", b.Name, under.From, under.To, under.Phase, under.From)
		return false
	}
	d.out.Intent.Switch[b.Name] = under
	d.out.Switches[b.Name] = under
	d.note("load_balancer.%s: the switch from %s to %s goes on at %s", b.Name, under.From, under.To, under.Phase)
	if c, ok := d.Candidates[d.groups[under.To].Template]; ok && d.releasing() && c.ID != under.Release && !under.Back {
		d.putOff(ReleaseOf(under.From), fmt.Sprintf("release %s waits until the switch is over: run 'cloudship apply' again", c.ID))
	}
	return true
}

// release puts the candidate on the idle group, and switches to it when told so.
func (d *deciding) release(b Balancer, live, idle string) error {
	runs := d.out.Intent.Releases[live]
	if runs == "" {
		d.take(live)
		runs = d.out.Intent.Releases[live]
	}
	candidate, ok := d.Candidates[d.groups[idle].Template]
	if !ok || d.groups[idle].Template == "" {
		return nil
	}
	if candidate.ID == runs {
		if d.out.Intent.Releases[idle] == "" {
			d.take(idle)
		}
		return nil
	}
	bad := slices.Contains(d.out.Intent.Bad[b.Name], candidate.ID)
	if d.Flags.Switch {
		if bad && !d.Flags.Again {
			return &BadRelease{b.Name, candidate.ID}
		}
		d.take(idle)
		d.out.Switches[b.Name] = resource.Switch{From: live, To: idle, Release: candidate.ID}
		return nil
	}
	d.take(idle)
	reason := fmt.Sprintf("%s is live and keeps release %s; %s has %s: 'cloudship apply --switch' makes it live", live, runs, idle, candidate.ID)
	if bad {
		reason = fmt.Sprintf("%s is live and keeps release %s; %s went bad before: 'cloudship apply --switch --again' makes it live all the same", live, runs, candidate.ID)
	}
	d.putOff(ReleaseOf(live), reason)
	return nil
}

// giveUp forgets a release that did not come up on a group and that nobody asks for any more: what
// its servers run stays.
func (d *deciding) giveUp(group string) {
	wanted := d.out.Intent.Releases[group]
	if c, ok := d.Candidates[d.groups[group].Template]; ok && c.ID == wanted {
		return
	}
	for i := range d.groups[group].Servers {
		spec, ok := d.Memory.Records[resource.ReleaseOn(group, i)].Found.Spec.(*resource.ReleaseSpec)
		if !ok || spec.Release == wanted {
			continue
		}
		if _, kept := d.Memory.Releases[spec.Release]; kept {
			d.out.Intent.Releases[group] = spec.Release
			return
		}
	}
}

// move is the verb switch: to whatever the idle group runs.
func (d *deciding) move(b Balancer, live, idle string) error {
	release := d.out.Intent.Releases[idle]
	if d.groups[idle].Template != "" && release == "" {
		return resource.WithHint(fmt.Errorf("load_balancer.%s: group %s has no release", b.Name, idle), "run 'cloudship apply' first")
	}
	if !Established(d.Memory, b.Name) {
		return resource.WithHint(fmt.Errorf("load_balancer.%s: it does not serve yet", b.Name), "run 'cloudship apply' first")
	}
	if slices.Contains(d.out.Intent.Bad[b.Name], release) && !d.Flags.Again {
		return &BadRelease{b.Name, release}
	}
	d.out.Switches[b.Name] = resource.Switch{From: live, To: idle, Release: release}
	return nil
}

// rollback moves the route to a release that is kept: the idle group gets it, if it does not run it
// still.
func (d *deciding) rollback(b Balancer, live, idle, release string) error {
	runs := d.out.Intent.Releases[live]
	if !Established(d.Memory, b.Name) {
		return resource.WithHint(fmt.Errorf("load_balancer.%s: it does not serve yet", b.Name), "run 'cloudship apply' first")
	}
	if release == "" {
		release = d.before(b.Name, live, idle)
	}
	switch _, kept := d.Memory.Releases[release]; {
	case release == "":
		return resource.WithHint(fmt.Errorf("load_balancer.%s: no release was live before %s", b.Name, runs), "run 'cloudship releases' to see what is kept")
	case release == runs:
		return fmt.Errorf("load_balancer.%s: release %s is live already", b.Name, release)
	case !kept && d.out.Intent.Releases[idle] != release:
		return resource.WithHint(fmt.Errorf("load_balancer.%s: release %s is not kept", b.Name, release), "run 'cloudship releases' to see what is kept")
	}
	d.out.Intent.Releases[idle] = release
	d.out.Switches[b.Name] = resource.Switch{From: live, To: idle, Release: release}
	return nil
}

// before finds the release that was live before the present one: by the history, else what the idle
// group runs.
func (d *deciding) before(balancer, live, idle string) string {
	runs, bad := d.out.Intent.Releases[live], d.out.Intent.Bad[balancer]
	for _, e := range slices.Backward(d.out.Intent.History) {
		if e.Balancer != balancer || e.Release == "" || e.Release == runs || !madeLive(e.What) {
			continue
		}
		if !slices.Contains(bad, e.Release) || d.Flags.Again {
			return e.Release
		}
	}
	if release := d.out.Intent.Releases[idle]; release != runs && (!slices.Contains(bad, release) || d.Flags.Again) {
		return release
	}
	return ""
}

func (d *deciding) note(format string, args ...any) {
	d.out.Notes = append(d.out.Notes, fmt.Sprintf(format, args...))
}

func (d *deciding) putOff(a resource.Address, reason string) {
	d.out.Deferred = append(d.out.Deferred, Deferral{Address: a, Reason: reason})
}

// ReleaseOf is the address that stands for the release of a whole group where one is to be named.
func ReleaseOf(group string) resource.Address { return resource.ReleaseOn(group, 0) }

// Established reports whether a load balancer's route has been made: then one of its groups is
// live, and sacred. Before that every group takes the candidate, so that a first release that does
// not start can be mended.
func Established(m resource.Memory, balancer string) bool {
	r, ok := m.Records[resource.RouteOf(balancer)]
	return ok && !r.Announced
}

// What the history says of a release that became live.
const (
	EventLive         = "live" // by the first apply
	EventSwitched     = "switched"
	EventSwitchedBack = "switched back"
	EventRolledBack   = "rolled back"
	EventReleased     = "released" // to a group; not live by that
	EventRefused      = "refused"
)

func madeLive(what string) bool {
	return what == EventLive || what == EventSwitched || what == EventSwitchedBack || what == EventRolledBack
}
