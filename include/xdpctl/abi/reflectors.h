/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * UDP services that attackers make answer to a victim: small spoofed questions,
 * large answers. The one list of them; the configuration adds and removes.
 */
#ifndef XDPCTL_ABI_REFLECTORS_H
#define XDPCTL_ABI_REFLECTORS_H

/* X(port, name, source): TA14-017A is CISA's alert "UDP-Based Amplification Attacks". */
#define XDPCTL_REFLECTORS(X)                                     \
	X(17, "qotd", "TA14-017A")                               \
	X(19, "chargen", "TA14-017A")                            \
	X(53, "dns", "TA14-017A")                                \
	X(69, "tftp", "TA14-017A")                               \
	X(111, "portmap", "TA14-017A")                           \
	X(123, "ntp", "TA14-017A, CVE-2013-5211")                \
	X(137, "netbios", "TA14-017A")                           \
	X(161, "snmp", "TA14-017A")                              \
	X(177, "xdmcp", "Shadowserver, Accessible XDMCP")        \
	X(389, "cldap", "TA14-017A")                             \
	X(427, "slp", "CVE-2023-29552")                          \
	X(520, "rip", "TA14-017A")                               \
	X(623, "ipmi", "Shadowserver, Open IPMI")                \
	X(1194, "openvpn", "Shadowserver, Open OpenVPN")         \
	X(1434, "mssql", "Shadowserver, MS-SQL Server Browser")  \
	X(1900, "ssdp", "TA14-017A")                             \
	X(3283, "arms", "Shadowserver, Apple Remote Management") \
	X(3389, "rdp", "Shadowserver, Accessible RDP over UDP")  \
	X(3478, "stun", "Shadowserver, Accessible STUN")         \
	X(3702, "wsd", "TA14-017A")                              \
	X(5060, "sip", "Shadowserver, Accessible SIP")           \
	X(5093, "sentinel", "Shadowserver, Accessible Sentinel") \
	X(5351, "nat-pmp", "Shadowserver, NAT-PMP")              \
	X(5353, "mdns", "TA14-017A")                             \
	X(5683, "coap", "Shadowserver, Accessible CoAP")         \
	X(10001, "ubiquiti", "Shadowserver, Ubiquiti")           \
	X(10074, "tp240", "CVE-2022-26143")                      \
	X(11211, "memcached", "TA14-017A, CVE-2018-1000115")     \
	X(17185, "vxworks", "CVE-2010-2965")                     \
	X(30718, "lantronix", "CVE-2012-5931")                   \
	X(32410, "plex", "CVE-2021-33959")                       \
	X(32414, "plex", "CVE-2021-33959")                       \
	X(33848, "jenkins", "CVE-2020-2100")                     \
	X(37810, "dvr", "Shadowserver, DVR DHCPDiscover")        \
	X(47808, "bacnet", "Shadowserver, Accessible BACnet")

#endif
