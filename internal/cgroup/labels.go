package cgroup

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Bounds of the labels of a target. Those of Kubernetes are shorter; Docker takes any.
const (
	maxLabels     = 64
	maxLabelKey   = 320 // a prefix of 253, a slash, a name of 63
	maxLabelValue = 256
)

// label gives id the labels of its pod, or its own: the first by key, and of them those of
// a reasonable length. What the kubelet adds for itself is told by other names already.
func (id *identity) label(labels map[string]string) {
	id.labels = map[string]string{} // not nil: they are known
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		value := labels[key]
		switch {
		case strings.HasPrefix(key, "io.kubernetes."):
		case len(key) > maxLabelKey || len(value) > maxLabelValue || len(id.labels) == maxLabels:
			id.leftOut++
		default:
			id.labels[key] = value
		}
	}
}

// inPod adds the labels of a container's pod, which CRI-O leaves in the bundle of the pod's
// sandbox, beside the container's. containerd leaves them nowhere on disk but in its database.
func (id identity) inPod(file, container string) identity {
	if !isID(id.sandbox) || !strings.Contains(file, container) {
		return id
	}
	var bundle struct {
		Annotations map[string]string `json:"annotations"`
	}
	if !readDocument(strings.ReplaceAll(file, container, id.sandbox), &bundle) {
		return id
	}
	var labels map[string]string
	if text := bundle.Annotations["io.kubernetes.cri-o.Labels"]; text != "" && json.Unmarshal([]byte(text), &labels) == nil {
		id.label(labels)
	}
	return id
}
