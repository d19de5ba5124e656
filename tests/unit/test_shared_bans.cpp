// SPDX-License-Identifier: Apache-2.0
#include "daemon/shared_bans.h"
#include "harness/catch.h"
#include "harness/literals.h"

using namespace xdpctl;
using namespace xdpctl::testing;

namespace
{

HandBan ban_of(const char* reason, uint64_t deadline_ns)
{
    return {"192.0.2.1"_net, 1, XDPCTL_BAN_FAIL2BAN, reason, false, deadline_ns};
}

} // namespace

TEST_CASE("of two jails the longer ban is in force, and each lifts its own")
{
    std::vector<HandBan> shared;
    const HandBan sshd = ban_of("sshd", 100);
    const HandBan web = ban_of("web", 200);
    CHECK(share_ban(shared, sshd, web, 10) == web);
    CHECK(shared.size() == 2);
    CHECK(holds_ban(shared, web, "sshd"));
    CHECK(holds_ban(shared, web, "web"));
    CHECK_FALSE(holds_ban(shared, web, "mail"));
    SECTION("the longer one first")
    {
        CHECK(release_ban(shared, sshd.prefix, "web", 10) == sshd);
        CHECK(shared.empty()); // the tables know the one that is left
        CHECK_FALSE(release_ban(shared, sshd.prefix, "sshd", 10));
    }
    SECTION("the shorter one first")
    {
        CHECK(release_ban(shared, sshd.prefix, "sshd", 10) == web);
        CHECK(shared.empty());
    }
    SECTION("what is over counts for nothing")
    {
        CHECK_FALSE(release_ban(shared, sshd.prefix, "web", 150));
        CHECK(shared.empty());
    }
    SECTION("a jail may shorten its own")
    {
        CHECK(share_ban(shared, web, ban_of("web", 50), 10) == sshd);
        CHECK(share_ban(shared, sshd, ban_of("sshd", 20), 10) == ban_of("web", 50));
    }
    SECTION("for ever is longest")
    {
        const HandBan forever = ban_of("mail", XDPCTL_NO_DEADLINE);
        CHECK(share_ban(shared, web, forever, 10) == forever);
        CHECK(release_ban(shared, web.prefix, "mail", 10) == web);
    }
    SECTION("another prefix is another ban")
    {
        HandBan other = sshd;
        other.prefix = "2001:db8::1"_net;
        CHECK(share_ban(shared, other, other, 10) == other);
        CHECK(shared.size() == 2);
        forget_shared(shared, sshd.prefix);
        CHECK(shared.empty());
    }
}

TEST_CASE("a jail alone needs no second place")
{
    std::vector<HandBan> shared;
    CHECK(share_ban(shared, ban_of("sshd", 100), ban_of("sshd", 50), 10) == ban_of("sshd", 50));
    CHECK(shared.empty());
    CHECK(holds_ban(shared, ban_of("sshd", 100), "sshd"));
    CHECK_FALSE(holds_ban(shared, ban_of("sshd", 100), "web"));
    CHECK(holds_ban(shared, ban_of("", 100), "web")); // nobody knows whose it is
}
