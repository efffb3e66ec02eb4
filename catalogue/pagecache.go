package catalogue

import "viperprobe.dev/viperprobe/internal/metric"

func pagecacheRows() []metric.Family {
	row := func(f metric.Family) metric.Family {
		f.Class, f.Tier, f.Kind, f.Unit = metric.Filesystem, metric.Event, metric.Counter, metric.One
		f.Owner, f.Object, f.PerCPU, f.OnDemand, f.Sampling = metric.OwnerTask, "pagecache", true, true, metric.Events
		f.Kernel = "5.12"
		return f
	}
	return []metric.Family{
		row(metric.Family{
			Name: "page_cache_lookups", Aliases: []string{"cache"},
			Labels: []metric.Label{{Name: "by", Values: []string{"read", "fault"}}},
			Rungs:  [][]string{{"pagecache_read", "pagecache_fault"}, {"pagecache_read_returned", "pagecache_fault_returned"}},
			Help:   "Times that tasks of the target looked for pages of files in the page cache, hit or miss: a read looks once for each batch of 15 to 31 folios, a fault in a mapped file once; reads past the cache, tmpfs, writes, and faults that the kernel served together with a neighbour's are not in it.",
			Source: "mm_filemap_get_pages, mm_filemap_fault; where there are none (6.1) the ends of filemap_get_pages, filemap_fault; paper: cache",
		}),
		row(metric.Family{
			Name: "page_cache_misses", Rungs: [][]string{{"pagecache_add"}},
			Help:   "Pages that tasks of the target put into the page cache because they were not there: read, read ahead whether needed or not, or written anew. What another target read ahead, or kernel threads did, is theirs; tmpfs is not in it.",
			Source: "mm_filemap_add_to_page_cache, all pages of a folio",
		}),
	}
}
