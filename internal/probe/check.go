package probe

// Check loads and attaches every BPF family once, and says which work on this
// kernel with these rights. It leaves nothing behind.
func Check(o Options) ([]Status, error) {
	s, err := Open(o)
	if err != nil {
		return nil, err
	}
	// What could not be attached is in the statuses.
	_ = s.Want(s.families)
	out := s.Status()
	return out, s.Close()
}
