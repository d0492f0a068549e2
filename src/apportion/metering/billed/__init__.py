"""Socket: one managed service per file, each an `IDENTITY`: which job or endpoint a billing row is for, by itself."""

from apportion.core.plugins import Socket

SOCKET = Socket("apportion.metering.billed", "IDENTITY", "managed service")
