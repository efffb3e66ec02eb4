module viperprobe.dev/viperprobe

go 1.26
