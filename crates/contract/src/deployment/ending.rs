//! How a canary ends: with all of the live route, or with none of it.

use super::{Deployment, Route};
use crate::ModelVersion;

impl Deployment {
    /// The deployment when its canary gets all of the live route. A rollback goes back to the others. None without a canary.
    pub fn with_canary_promoted(&self, at: u64) -> Option<Self> {
        let canary = self.canary.as_ref()?;
        let route = self.route(canary.version)?;
        let routes = vec![Route { weight: 100, ..route.clone() }];
        let previous = Some(shared_without(&self.routes, canary.version));
        Some(Self { routes, previous, canary: None, updated_at: at, ..self.clone() })
    }

    /// The deployment when its canary loses its share to the others. None without a canary.
    pub fn with_canary_rolled_back(&self, at: u64) -> Option<Self> {
        let canary = self.canary.as_ref()?;
        let routes = shared_without(&self.routes, canary.version);
        Some(Self { routes, canary: None, updated_at: at, ..self.clone() })
    }
}

/// The routes without one version, whose share the others get in proportion to theirs.
fn shared_without(routes: &[Route], version: ModelVersion) -> Vec<Route> {
    let others = || routes.iter().filter(|route| route.version != version);
    let total: u64 = others().map(|route| u64::from(route.weight)).sum();
    let (mut seen, mut given) = (0_u64, 0_u32);
    let share = |route: &Route| {
        // Rounding the running sum instead of each share makes the shares add up exactly.
        seen += u64::from(route.weight);
        let up_to_here = u32::try_from((100 * seen + total / 2) / total.max(1)).unwrap_or(100);
        let weight = up_to_here - given;
        given = up_to_here;
        Route { weight, ..route.clone() }
    };
    others().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Canary, Digest, ModelName};

    fn deployment(weights: &[u32], canary: u32) -> Deployment {
        let route = |(number, weight): (u32, &u32)| Route {
            version: ModelVersion::new(number).unwrap(),
            digest: Digest::new(format!("sha256-{number:064x}")).unwrap(),
            weight: *weight,
        };
        let routes = (1..).zip(weights).map(route).collect();
        let mut deployment = Deployment::new(ModelName::new("digits").unwrap(), routes);
        deployment.canary = Some(Canary::new(ModelVersion::new(canary).unwrap(), 0));
        assert!(deployment.validate().is_ok());
        deployment
    }

    fn weights(routes: &[Route]) -> Vec<(u32, u32)> {
        routes.iter().map(|route| (route.version.get(), route.weight)).collect()
    }

    #[test]
    fn a_promoted_canary_has_everything_and_a_rollback_goes_to_the_others() {
        let promoted = deployment(&[60, 30, 10], 3).with_canary_promoted(7).unwrap();
        assert_eq!(weights(&promoted.routes), [(3, 100)]);
        assert_eq!(weights(promoted.previous.as_ref().unwrap()), [(1, 67), (2, 33)]);
        assert_eq!((promoted.canary.as_ref(), promoted.updated_at), (None, 7));
        assert!(promoted.validate().is_ok());
    }

    #[test]
    fn a_canary_that_is_rolled_back_leaves_its_share_to_the_others() {
        for shares in [[90, 10, 0], [33, 34, 33], [1, 98, 1], [50, 25, 25]] {
            let back = deployment(&shares, 2).with_canary_rolled_back(7).unwrap();
            assert!(back.validate().is_ok(), "{shares:?} gives {:?}", weights(&back.routes));
            assert!(back.canary.is_none() && back.route(ModelVersion::new(2).unwrap()).is_none());
        }
    }
}
