package agent

import "math/bits"

// On hybrid hosts block IO is charged to cgroups of a v1 hierarchy, which come and
// go by themselves: the kernel side learns from here which of them is whose.

// v1Tries is how many windows a target is looked at for a v1 cgroup of its own:
// runtimes make it a little before or after the v2 one, and some have none.
const v1Tries = 20

// hybrid is a target's cgroup in the hierarchy of block IO.
type hybrid struct {
	id    uint64
	tries int
}

// adopt tells the kernel side of a target's v1 cgroup, unless it has done so.
func (t *tree) adopt(x *target) {
	if t.a.probes == nil || t.blkio == 0 || x.group == nil || x.v1.id != 0 || x.v1.tries >= v1Tries || !x.Ended.IsZero() {
		return
	}
	x.v1.tries++
	if x.v1.tries > 4 && bits.OnesCount(uint(x.v1.tries)) > 1 { // ever more rarely
		return
	}
	id, own, err := t.a.host.V1ID(x.Cgroup, "blkio")
	if err != nil || !own {
		return
	}
	if err := t.a.probes.SetCgroup1(t.blkio, id, x.slot); err != nil {
		t.a.log.Error("block IO counts for the node", "target", x.Name(), "err", err)
		return
	}
	x.v1.id = id
}

// disown takes a target's v1 cgroup back before its slot is given up.
func (t *tree) disown(x *target) {
	if x.v1.id == 0 {
		return
	}
	if err := t.a.probes.ForgetCgroup1(t.blkio, x.v1.id); err != nil {
		t.a.log.Error("v1 cgroup not forgotten", "target", x.Name(), "err", err)
	}
}
